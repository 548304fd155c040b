"""The lab's commands, as subprocesses."""

import sys
from pathlib import Path


def lab(*words: str, module: str = "resnet_lab") -> list[str]:
    """Return the command line of the lab, or of one of its modules."""
    return [sys.executable, "-m", module, *words]


def result_of(folder: Path) -> Path:
    """Return the result.json of the only run below a folder."""
    [found] = folder.rglob("result.json")
    return found
