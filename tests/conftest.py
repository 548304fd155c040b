"""For all tests: networks are tiny, and a second thread costs more than it brings, most of all beside others."""

import os

import torch

os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start
torch.set_num_threads(1)
