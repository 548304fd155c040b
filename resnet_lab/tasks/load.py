"""Load the network of a stored run."""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.schema import Config
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.tasks.base import task_of


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Load a checkpoint to the CPU with torch's safe loading. Raises ConfigError when it is missing or damaged."""
    if not path.exists():
        raise ConfigError(f"{path} does not exist: no epoch has finished, or it was removed (resnet-lab runs --prune)")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ConfigError(f"{path} is damaged: remove the run's directory to start again") from error
    facts = checkpoint.get("resnet_lab") if isinstance(checkpoint, dict) else None
    if not isinstance(facts, dict) or not {"mean", "std"} <= facts.keys() or "state_dict" not in checkpoint:
        raise ConfigError(f"{path} is not a checkpoint of resnet_lab: move it away")
    return checkpoint


def load_run(run_dir: str | Path, checkpoint: str = "last") -> tuple[Config, ResNetV2]:
    """Return the configuration and the trained network of a run, in eval mode on the CPU.

    `checkpoint` is "last" or "best" (lowest validation score). In the configuration, `data.mean` and `data.std` are the
    values that normalised the images. Raises ConfigError when there is no such run.
    """
    directory = RunDirectory(Path(run_dir))
    config = directory.stored_config()
    stored = load_checkpoint(directory.checkpoints / f"{checkpoint}.ckpt")
    facts = stored["resnet_lab"]
    low_high = facts.get("images", {}).get("range")  # not stored by version 0.1
    data = dataclasses.replace(config.data, mean=facts["mean"], std=facts["std"], range=low_high or config.data.range)
    net = task_of(config).network()
    net.load_state_dict(
        {name.removeprefix("net."): tensor for name, tensor in stored["state_dict"].items() if name.startswith("net.")}
    )
    return dataclasses.replace(config, data=data), net.eval()
