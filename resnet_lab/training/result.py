"""The numbers of a finished run, as stored in result.json."""

import math
import platform
import statistics
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from resnet_lab.config.published import published
from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.config.stored import to_dict
from resnet_lab.config.tasks import Scoring
from resnet_lab.model.complexity import Complexity
from resnet_lab.rundir.identity import identity
from resnet_lab.rundir.json_schemas import SCHEMA_VERSION
from resnet_lab.training.history import History, best_epoch
from resnet_lab.training.predictions import Arrays
from resnet_lab.training.runtime import Runtime
from resnet_lab.version import __version__

PACKAGES = ("pytorch-lightning", "hydra-core", "numpy")


@dataclass(frozen=True, slots=True)
class Tested:
    """The outcome of a test."""

    loss: float
    score: float
    details: dict[str, Any]  # further scores, as the task gives them
    per_image: list[Arrays]  # of the test images and, if there are any, of the validation images
    averaged: tuple[float, float] | None = None  # loss and score of the averaged weights, if there are any

    def numbers(self, score: str) -> dict[str, float]:
        """Return `loss`, `<score>`, and `ema_loss` and `ema_<score>` of the averaged weights."""
        values = {"loss": self.loss, score: self.score}
        return values | (dict(zip(("ema_loss", f"ema_{score}"), self.averaged, strict=True)) if self.averaged else {})


def collect(
    config: Config,
    cost: Complexity,
    runtime: Runtime,
    images: dict[str, Any],
    history: History,
    test_last: Tested,
    test_best: Tested | None,
    wall: dict[str, float],
) -> dict[str, Any]:
    """Return all numbers for comparing runs: scores in the unit of their task, times in seconds, memory in bytes."""
    task = TASKS.info(config.task)
    best = best_epoch(history, config.best_by)
    paper = published(config)
    return {
        "schema_version": SCHEMA_VERSION,
        "name": config.name,
        "identity": identity(config),
        "seed": config.seed,
        "axes": to_dict(config.model),
        "data": to_dict(config.data),
        "images": images,
        "optim": to_dict(config.optim),
        "augment": to_dict(config)["augment"],
        "task": task.described(config.task),
        "epochs": len(history),
        "stopped_early": len(history) < config.trainer.max_epochs,  # by trainer.patience
        **cost.totals(),
        "last": _epoch(history[-1], test_last, task.score),
        "best_by": config.best_by,
        "best": _epoch(best, test_best, task.score) if best and test_best else None,
        "test": {"last": test_last.details, "best": test_best.details if best and test_best else None},
        "published_error": paper.error if paper else None,  # of this network on this data, with any recipe
        "seconds": sum(record["seconds"] or 0.0 for record in history),
        "wall_seconds": sum(wall.values()),
        "wall": wall,
        "images_per_second": statistics.median(record["images_per_second"] or 0.0 for record in history),
        "peak_memory": runtime.peak_memory(),
        "reserved_memory": runtime.reserved_memory(),
        "device": runtime.name,
        "precision": runtime.precision,
        "versions": versions(),
        "git_commit": git_commit(),
        "history": history,
    }


def _epoch(record: dict[str, float | None], test: Tested, score: str) -> dict[str, float | None]:
    """Return `epoch`, `train_loss`, `train_<score>`, `val_loss`, … of an epoch; None where they are not finite.

    Those of averaged weights are `val_ema_loss`, … .
    """
    keys = ["epoch", *(name for name in record if name.startswith(("train/", "val/")))]
    values = {key.replace("/", "_"): record[key] for key in keys}
    values |= {f"test_{name}": value for name, value in test.numbers(score).items()}
    return {name: value if value is not None and math.isfinite(value) else None for name, value in values.items()}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that affect the numbers."""
    others = {package: version(package) for package in PACKAGES}
    return {
        "python": platform.python_version(),
        "resnet-lab": __version__,
        "torch": str(torch.__version__),  # with its build, which package metadata may lack
        **others,
    }


def git_commit() -> str | None:
    """Return the commit of the checkout that this package runs from, with "+" if it has changes; None outside one."""
    git = ["git", "-C", str(Path(__file__).parent)]
    describe = [*git, "describe", "--always", "--exclude=*", "--abbrev=40", "--dirty=+"]
    try:
        subprocess.run([*git, "ls-files", "--error-unmatch", Path(__file__).name], capture_output=True, check=True)
        return subprocess.run(describe, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def format_result(result: dict[str, Any]) -> str:
    """Return name, seed and scores of a run in one line."""
    return f"{result['name']} seed {result['seed']}: {scores(result)}"


def scores(result: dict[str, Any], with_test: bool = True) -> str:
    """Return the scores of the last weights and of the best epoch, validation first, and the training time.

    `with_test=False` leaves out the test scores if there are validation scores to choose by.
    """
    scoring, last, best = Scoring.of(result), result["last"], result["best"]
    parts = {f"{part}_{scoring.score}": word for part, word in (("val", "validation"), ("test", "test"))}
    names = [name for name in parts if last[name] is not None]

    def words(epoch: dict[str, Any]) -> str:
        shown = names if with_test else names[:1]
        return ", ".join(f"{parts[name]} {scoring.score} {number(epoch, name)}" for name in shown)

    def number(epoch: dict[str, Any], name: str) -> str:
        averaged = epoch.get(name.replace("_", "_ema_", 1))
        of_average = "" if averaged is None else f" ({scoring.text(averaged)} with averaged weights)"
        return scoring.text(epoch[name]) + of_average

    text = f"{words(last)} (last epoch, {last['epoch']})"
    if best:
        by = result.get("best_by") or f"val/{scoring.score}"  # version 0.1 had no choice
        text += f"; {words(best)} (epoch {best['epoch']}, lowest {by.replace('val/', 'validation ').replace('/', ' ')})"
    return f"{text}; trained in {result['seconds']:.0f} s"
