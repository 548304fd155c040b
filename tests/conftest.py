"""For all tests, before torch is imported."""

import os

# The networks of the tests are tiny: a second thread costs more than it brings, most of all beside another process.
os.environ.setdefault("OMP_NUM_THREADS", "1")
