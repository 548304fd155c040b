"""The facts in every results file: machine, versions, commit and command."""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from resnet_lab.config.compose import load_config
from resnet_lab.rundir.files import write_json
from resnet_lab.training.result import git_commit, versions
from resnet_lab.training.runtime import Runtime, physical_cores

RESULTS = Path(__file__).parent / "results"


def facts(module: str) -> dict[str, Any]:
    """Collect the facts of this process, started as `python -m module …`."""
    return {
        "command": " ".join(["python", "-m", module, *sys.argv[1:]]),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": git_commit(),
        "versions": versions(),
        "machine": {
            "cpu": Runtime.resolve(load_config("trainer=cpu"), 0).name,
            "cores": physical_cores(),
            "logical_cores": os.cpu_count(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a results file atomically, and create its folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, content)


def load(path: Path) -> dict[str, Any]:
    """Read a results file."""
    content: dict[str, Any] = json.loads(path.read_text())
    return content
