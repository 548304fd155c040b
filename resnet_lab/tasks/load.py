"""Load the network of a stored run or of a shared file."""

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import torch
from torch import Tensor, nn

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.safe import EACH, Maybe, Unreadable, check_form, refuse_irregular
from resnet_lab.tasks.base import task_of
from resnet_lab.tasks.shared import read_shared, shared_file

# How the names of tensors in a checkpoint begin: of the network, and of its averaged weights; and the only other one.
NET, AVERAGED, AVERAGED_STEPS = "net.", "average.net.", "average.steps"
NUMBERS = [(int, float)]
CHECKPOINT = {
    "state_dict": {EACH: Tensor},
    "resnet_lab": {
        "mean": NUMBERS,
        "std": NUMBERS,
        "config": Maybe({}),
        "images": Maybe({"range": Maybe(NUMBERS), "classes": Maybe([str])}),
        "precision": Maybe(str),
        "device": Maybe(str),
        "pretrained": Maybe({"new": [str]}),
        "continued_from": Maybe({"run": str, "epochs": int, "step": int}),
    },
    "history": [{EACH: Maybe((int, float))}],
    "global_step": int,
    "optimizer_states": [{"state": {}, "param_groups": [{}]}],
    "wall": Maybe({EACH: (int, float)}),  # seconds by what they were spent on; not stored by version 0.1
}


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Load a checkpoint to the CPU with torch's safe loading. Raises ConfigError when it is missing or damaged."""
    if not os.path.lexists(path):
        chosen = ", nothing was held out to choose it by" if path.name.startswith("best") else ""
        raise ConfigError(
            f"{path} does not exist: no epoch has finished{chosen}, or it was removed (resnet-lab runs --prune)"
        )
    try:
        checkpoint: dict[str, Any] = load_zip(path)
    except Exception as error:
        raise ConfigError(f"{path} is damaged: remove the run's directory to start again") from error
    try:
        check_form(checkpoint, CHECKPOINT, path.name)
    except Unreadable as error:
        raise ConfigError(f"{path} is not a checkpoint of resnet_lab ({error}): move it away") from error
    return checkpoint


def load_zip(path: Path) -> Any:
    """Load a file of torch.save to the CPU with torch's safe loading. Raises errors of any type if it is damaged."""
    refuse_irregular(path, largest=math.inf)
    with ZipFile(path) as file:
        is_compressed = any(entry.compress_type != ZIP_STORED for entry in file.infolist())
    if is_compressed:  # not by torch; a small compressed file could fill the memory
        raise Unreadable("it is compressed")
    return torch.load(path, map_location="cpu", weights_only=True)


def network_weights(
    checkpoint: dict[str, Any], config: Config, path: Path, averaged: bool = False
) -> dict[str, Tensor]:
    """Return the network's weights in a checkpoint, or their average. Check both.

    Raises ConfigError if `config` describes another network.
    """
    prefixes = (NET, AVERAGED) if config.optim.ema else (NET,)
    found: dict[str, dict[str, Tensor]] = {prefix: {} for prefix in prefixes}
    strays = {AVERAGED_STEPS} if config.optim.ema else set()
    for name, tensor in checkpoint["state_dict"].items():
        prefix = next((prefix for prefix in prefixes if str(name).startswith(prefix)), None)
        if prefix:
            found[prefix][str(name).removeprefix(prefix)] = tensor
        else:
            strays ^= {str(name)}
    for weights in found.values():
        _refuse_others(weights, config, f"{path} holds another network than config.yaml describes", strays)
    return found[AVERAGED if averaged else NET]


def _refuse_others(stored: dict[str, Tensor], config: Config, what: str, strays: Set[str] = frozenset()) -> None:
    """Raise ConfigError, naming a tensor that differs, unless `stored` has the weights of the network of `config`."""
    with torch.device("meta"):
        expected = task_of(config).network().state_dict()
    wrong = {name for name in stored.keys() & expected.keys() if not fits(stored[name], expected[name])}
    wrong |= (stored.keys() ^ expected.keys()) | strays
    if wrong:
        raise ConfigError(f"{what}: {min(wrong):.100} differs")


def fits(stored: Tensor, expected: Tensor) -> bool:
    """Return whether a stored tensor is dense and has the expected shape and dtype; float64 can replace float32."""
    dtypes = (torch.float32, torch.float64) if expected.is_floating_point() else (expected.dtype,)
    is_dense = stored.layout == torch.strided and not stored.is_meta
    return is_dense and stored.shape == expected.shape and stored.dtype in dtypes


def load_run(run: str | Path, checkpoint: str = "last") -> tuple[Config, ResNetV2]:
    """Return the configuration and the trained network of a run, in eval mode on the CPU.

    `run` is a run directory, a file of `resnet-lab export --to safetensors`, or a folder with `network.safetensors`.
    `checkpoint` is "last" or "best" (lowest `trainer.best_by`), or for the averaged weights of a run with `optim.ema`
    "last_ema" or "best_ema". In the configuration, `data.mean`, `data.std` and, for numbers, `data.label_scale` are the
    values of the training part. Raises ConfigError when it cannot be read.
    """
    config, net, _ = load_with_classes(run, checkpoint)
    return config, net


def load_with_classes(run: str | Path, checkpoint: str = "last") -> tuple[Config, ResNetV2, tuple[str, ...]]:
    """Return what `load_run` does, and the names of the classes in label order, or of the attributes.

    There are none, (), if outputs have no names.
    Raises ConfigError as `load_run` does.
    """
    file = shared_file(Path(run))
    config, weights, names = _of_file(file, checkpoint) if file else _of_run(RunDirectory(Path(run)), checkpoint)
    net = task_of(config).network()
    net.load_state_dict(weights)
    numbers = map(str, range(config.data.num_classes or 0))
    classes = tuple(names or numbers) if TASKS.info(config.task).names_outputs else ()
    return config, net.eval(), classes


def weights_digest(net: nn.Module, facts: object = None) -> str:
    """Return a digest (16 hexadecimal digits) of all parameters and buffers, and of `facts`, which JSON can hold."""
    whole = hashlib.sha256(json.dumps(facts).encode())
    for name, tensor in sorted(net.state_dict().items()):
        whole.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        whole.update(tensor.cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()[:16]


Stored = tuple[Config, dict[str, Tensor], Sequence[str]]  # settings, weights and class names, if known


def _of_run(directory: RunDirectory, checkpoint: str) -> Stored:
    config = directory.stored_config()
    file, _, average = checkpoint.partition("_")
    require(
        not average or config.optim.ema > 0,
        f"{directory.path} has no averaged weights, since it was trained with optim.ema=0: choose checkpoint {file}",
    )
    path = directory.checkpoints / f"{file}.ckpt"
    stored = load_checkpoint(path)
    facts = stored["resnet_lab"]
    images = facts["images"] or {}  # not stored by version 0.1
    low_high = images.get("range") or config.data.range
    low_high = list(low_high) if low_high else None  # a former version stored a tuple
    label_scale = images.get("label_scale") or config.data.label_scale
    measured = {"mean": facts["mean"], "std": facts["std"], "range": low_high, "label_scale": label_scale}
    data = dataclasses.replace(config.data, **measured)
    weights = network_weights(stored, config, path, averaged=bool(average))
    return dataclasses.replace(config, data=data), weights, images.get("classes") or ()


def _of_file(path: Path, checkpoint: str) -> Stored:
    shared = read_shared(path)
    if checkpoint not in ("last", shared.checkpoint):
        raise ConfigError(f"{path} holds the {shared.checkpoint} checkpoint, not {checkpoint}")
    _refuse_others(shared.weights, shared.config, f"{path} holds another network than it describes")
    return shared.config, shared.weights, shared.classes
