"""Synthetic run directories, as resnet_lab.training writes them."""

import copy
import json
from pathlib import Path
from typing import Any

import yaml

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the fast one, if PyYAML was built with it
AXES: dict[str, Any] = {
    "in_channels": 1,
    "num_classes": 10,
    "num_stacks": 3,
    "units": [3],
    "filters": [16],
    "reduction": [1],
    "unit": "basic",
    "shortcut": "projection",
    "stem": {"kernel": 3, "stride": 1, "filters": 16},
    "head": {"hidden": [], "latent_dim": None},
}
DATA: dict[str, Any] = {
    "name": "digits", "channels": 1, "image_size": 8, "num_classes": 10, "root": "data", "validation": 0.1,
    "split_seed": 0, "pad": 1,
}  # fmt: skip
OPTIM: dict[str, Any] = {"name": "sgd", "lr": 0.1, "milestones": [0.5, 0.75]}


def numbers(error: float, epoch: int) -> dict[str, float]:
    return {"epoch": epoch, "train_error": error, "val_error": error + 1, "test_error": error, "test_loss": 0.1}


def result(seed: int, error: float, axes: dict[str, Any], **others: Any) -> dict[str, Any]:
    history = [{"epoch": e, "train/error": 90 / e, "val/error": 91 / e} for e in (1, 2, 3)]
    units = axes["units"][0]
    return {
        "schema_version": 1,
        "name": "synthetic",
        "seed": seed,
        "axes": axes,
        "data": DATA,
        "optim": OPTIM,
        "epochs": 3,
        "depth": 6 * units + 2,
        "params": 1000 * units,
        "macs": 20_000 * units,
        "activations": 300 * units,
        "last": numbers(error, 3),
        "best": numbers(error + 0.5, 2),
        "published_error": None,
        "seconds": 2.0 * units,
        "peak_memory": 10**8,
        "device": "a machine",
        "precision": "32-true",
        "history": history,
    } | others


def write(
    path: Path,
    seed: int = 0,
    error: float = 5.0,
    state: str = "done",
    why: str = "",
    axes: dict[str, Any] | None = None,
    trainer: dict[str, Any] | None = None,
    pretrained: dict[str, Any] | None = None,
    **others: Any,
) -> Path:
    """A run directory; `axes` are those that are not as in AXES, `others` replace parts of result.json."""
    path.mkdir(parents=True)
    model = copy.deepcopy(AXES) | (axes or {})
    config = {
        "name": "synthetic",
        "seed": seed,
        "model": model,
        "data": others.get("data", DATA),
        "optim": others.get("optim", OPTIM),
        "trainer": {"max_epochs": 3} | (trainer or {}),
        "pretrained": pretrained or {},
    }
    (path / "config.yaml").write_text(yaml.dump(config, Dumper=DUMPER))
    (path / "status.json").write_text(json.dumps({"state": state, "why": why, "host": "elsewhere", "pid": 1}))
    if state == "done":
        (path / "result.json").write_text(json.dumps(result(seed, error, model, **others)))
    return path


def sweep(root: Path, errors: dict[str, list[float]]) -> Path:
    """Runs of several shortcuts, seeds from 0 on."""
    for shortcut, values in errors.items():
        for seed, error in enumerate(values):
            write(root / shortcut / f"seed-{seed}", seed, error, axes={"shortcut": shortcut})
    return root
