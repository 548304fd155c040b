from __future__ import annotations

from pathlib import Path

import pytest
from lab import Lab

from resnet_lab.callbacks.dashboard import Dashboard
from resnet_lab.callbacks.progress import ProgressBar


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A laboratory of the test's own."""
    return Lab(tmp_path / "outputs")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A laboratory with one finished run, as the command line makes it, to look at and not to change."""
    lab = Lab(tmp_path_factory.mktemp("finished"))
    lab.run(callbacks=[Dashboard(lab.config()), ProgressBar()])
    return lab
