"""A network to share: one safetensors file with its weights, settings, normalisation and classes."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from resnet_lab.config.checks import ConfigError, require, require_packages
from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.config.stored import from_dict, to_stored
from resnet_lab.rundir.safe import check_form, parse_json, refuse_irregular

NAME = "network.safetensors"  # of the file, in a folder
KEY = "resnet_lab"  # of the facts in a file's metadata
FACTS = {"config": {}, "classes": [str], "run": str, "identity": str, "checkpoint": str}


@dataclass(frozen=True, slots=True)
class Shared:
    """The content of a shared file."""

    config: Config  # `data.mean`, `data.std` and `data.range` are those of the training images
    classes: tuple[str, ...]  # or attributes; empty if outputs have no names
    run: str  # name of the run
    identity: str
    checkpoint: str  # last or best
    weights: dict[str, Tensor]


def shared_file(path: Path) -> Path | None:
    """Return the shared file at a path: itself, or `network.safetensors` in a folder that is not a run directory.

    None if there is no such file.
    """
    if not path.is_dir():
        return path if os.path.lexists(path) else None
    is_shared = os.path.lexists(path / NAME) and not os.path.lexists(path / "config.yaml")
    return path / NAME if is_shared else None


def portable(config: Config) -> dict[str, Any]:
    """Return settings to store in a file, without the folders of this machine."""
    stored = to_stored(config)
    del stored["output_dir"], stored["data"]["root"]
    if config.pretrained.run:
        stored["pretrained"]["run"] = Path(config.pretrained.run).name
    return stored


def to_safetensors(net: nn.Module, facts: dict[str, Any]) -> bytes:
    """Return the content of a shared file. `facts` has at least the keys of FACTS."""
    from safetensors.torch import save  # an optional dependency

    weights = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    return save(weights, {KEY: json.dumps(facts, allow_nan=False)})


def read_shared(path: Path) -> Shared:
    """Read a file as if a stranger had written it. Raises ConfigError if it is damaged, or holds something else."""
    require_packages("export", f"reading {path}", "safetensors")
    from safetensors import safe_open

    try:
        refuse_irregular(path, largest=math.inf)
        with safe_open(path, framework="pt") as file:
            facts = parse_json((file.metadata() or {}).get(KEY, "null"), path.name)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        check_form(facts, FACTS, path.name)
    except Exception as error:
        raise ConfigError(f"{path} is not a network that resnet-lab export wrote: {error}") from error
    try:
        config = from_dict(facts["config"])
        require(config.data.mean is not None and config.data.std is not None, "data.mean or data.std is missing")
        expected = config.data.num_classes if TASKS.info(config.task).names_outputs else 0
        require(len(facts["classes"]) == expected, f"it names {len(facts['classes'])} of {expected} classes")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return Shared(config, tuple(facts["classes"]), facts["run"], facts["identity"], facts["checkpoint"], weights)
