"""Is it right: replayed steps against eager ones, interrupted runs against whole ones, the lab against bare loops."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import decide
from benchmarks.gpu import Content
from benchmarks.gpu.command import lab, result_of
from benchmarks.train import passed_checks
from resnet_lab.config.compose import load_config
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.place import run_directory
from resnet_lab.tasks.load import load_checkpoint
from resnet_lab.training.run import run

# A network of 14 layers on 400 random images: full mini-batches of 32, and a smaller one of 16.
SMALL = (
    *("stacks=two", "units=n2", "filters=w16", "data=fake", "data.image_size=8", "data.num_images=450"),
    *("data.num_classes=3", "data.validation=50", "optim=sgd", "optim.batch_size=32", "trainer.max_epochs=4"),
)
REPEATABLE = ("trainer=gpu", "deterministic=true")
VARIATIONS = {
    "fp32": ["trainer.precision=32-true"],
    "bf16": [],
    "Nesterov, clipping, label smoothing": ["optim.nesterov=true", "optim.clip_norm=0.5", "optim.label_smoothing=0.1"],
    "dropout": ["shortcut=dropout"],
    "gates": ["shortcut=exclusive_gating"],
    "Adam": ["optim=adam"],
    "AdamW, cosine, fp32": ["optim=adamw", "optim.schedule=cosine", "trainer.precision=32-true"],
    "three mini-batches per call": ["trainer.steps_per_call=3"],
    "channels first": ["trainer.channels_last=false"],
}

LONG = ("+experiment=cifar10_20", "data=fake", "data.num_images=4000", "trainer.max_epochs=30", *REPEATABLE)
INTERRUPTED_AFTER = 4  # epochs
LAST = "checkpoints/last.ckpt"


def graphs(earlier: Content) -> Iterator[Content]:
    """Train each variation replayed and eagerly: the last checkpoints must be bit-identical."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    different: dict[str, list[str]] = dict(earlier.get("different", {}))
    for name, changes in VARIATIONS.items():
        if name not in different:
            replayed, eager = (trained(*changes, f"trainer.graphs={graphs}") for graphs in ("true", "false"))
            different[name] = differences(replayed, eager)
            yield {"different": different}
    checks = [
        identical(f"{name}: tensors that differ between replayed and eager steps", tensors)
        for name, tensors in different.items()
    ]
    yield {"different": different, "checks": checks}


def trained(*changes: str) -> dict[str, Any]:
    """Train the small network; return its last checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(*SMALL, *REPEATABLE, *changes, f"output_dir={folder}")
        run(config)
        return load_checkpoint(run_directory(config).last)


def differences(one: Any, other: Any, name: str = "") -> list[str]:
    """Return the names of all tensors of two checkpoints that are not bit-identical."""
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        same = isinstance(one, Tensor) and isinstance(other, Tensor) and torch.equal(one.cpu(), other.cpu())
        return [] if same else [name]
    if isinstance(one, dict):
        missing = [f"{name}.{key}" for key in one.keys() ^ other.keys()]
        return missing + [
            found
            for key in sorted(one.keys() & other.keys(), key=str)
            for found in differences(one[key], other[key], f"{name}.{key}")
        ]
    if isinstance(one, list | tuple):
        pairs = zip(one, other, strict=True)
        return [found for index, pair in enumerate(pairs) for found in differences(*pair, f"{name}.{index}")]
    return []


def identical(what: str, different: list[str]) -> dict[str, Any]:
    """The verdict that no tensor differs."""
    return decide.verdict(what, len(different), 0, at_least=False)


def resume(earlier: Content) -> Iterator[Content]:
    """Stop a run by SIGTERM, start it again, and compare it with one that was not stopped."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    with tempfile.TemporaryDirectory() as folder:
        whole, stopped = Path(folder, "whole"), Path(folder, "stopped")
        subprocess.run(lab(*LONG, f"output_dir={whole}"), check=True, capture_output=True, text=True)
        command = lab(*LONG, f"output_dir={stopped}")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            while process.poll() is None and epochs(stopped) < INTERRUPTED_AFTER:
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            process.communicate()
        at, status = epochs(stopped), process.returncode
        subprocess.run(command, check=True, capture_output=True, text=True)
        of_whole, of_stopped = (load_checkpoint(result_of(each).parent / LAST) for each in (whole, stopped))
    checks = [
        decide.verdict("SIGTERM ends a run with exit status 143", status, 128 + signal.SIGTERM),
        decide.verdict("before its last epoch", at, 29, at_least=False),
        identical("a resumed run is the one that was not stopped", differences(of_whole, of_stopped)),
    ]
    yield {"interrupted_after": at, "checks": checks}


def epochs(folder: Path) -> int:
    """The number of epochs that the run below a folder has finished."""
    return max(
        (int(RunDirectory(file.parent).status().get("epochs", 0)) for file in folder.rglob("status.json")), default=0
    )


def checks(earlier: Content) -> Iterator[Content]:
    """Compare the lab and the bare loops, step by step."""
    yield {"checks": passed_checks(["roof", "floor", "lab", "strong"], "cuda")}
