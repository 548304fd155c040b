"""The numbers of a finished run, as result.json has them."""

from __future__ import annotations

import math
import platform
import statistics
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from resnet_lab.compose import plain
from resnet_lab.config import Config
from resnet_lab.model.complexity import Complexity
from resnet_lab.published import published
from resnet_lab.training.machine import Machine
from resnet_lab.training.module import History, best_epoch
from resnet_lab.training.record import identity

SCHEMA_VERSION = 1
PACKAGES = ("resnet-lab", "torch", "pytorch-lightning", "hydra-core", "numpy")

Means = tuple[float, float]  # loss, error in percent


def collect(
    config: Config, cost: Complexity, machine: Machine, history: History, test_last: Means, test_best: Means | None
) -> dict[str, Any]:
    """Everything by which runs are compared: errors in percent, times in seconds, memory in bytes."""
    best = best_epoch(history)
    paper = published(config)
    return {
        "schema_version": SCHEMA_VERSION,
        "name": config.name,
        "identity": identity(config),
        "seed": config.seed,
        "axes": plain(config.model),
        "data": plain(config.data),
        "optim": plain(config.optim),
        "epochs": len(history),
        **cost.totals(),
        "last": _epoch(history[-1], test_last),
        "best": _epoch(best, test_best) if best and test_best else None,
        "published_error": paper.error if paper else None,  # of this network on this data, whatever the recipe
        "seconds": sum(record["seconds"] or 0.0 for record in history),
        "images_per_second": statistics.median(record["images_per_second"] or 0.0 for record in history),
        "peak_memory": machine.peak_memory(),
        "device": machine.name,
        "precision": machine.precision,
        "versions": versions(),
        "git_commit": git_commit(),
        "history": history,
    }


def _epoch(record: dict[str, float | None], test: Means) -> dict[str, float | None]:
    numbers = {"test_loss": test[0], "test_error": test[1]}
    names = {"epoch": "epoch", "train_loss": "train/loss", "train_error": "train/error"}
    names |= {"val_loss": "val/loss", "val_error": "val/error"}
    values = {name: record[key] for name, key in names.items()} | numbers
    return {name: value if value is not None and math.isfinite(value) else None for name, value in values.items()}


def versions() -> dict[str, str | None]:
    """Of Python and of the packages that decide the numbers."""
    return {"python": platform.python_version(), **{package: _version(package) for package in PACKAGES}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # a checkout that was not installed
        return None


def git_commit() -> str | None:
    """The commit of the checkout that this package runs from, "+" when it has changes; None outside a checkout."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        if not git("ls-files", Path(__file__).name):
            return None
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
