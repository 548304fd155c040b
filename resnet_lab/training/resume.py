"""Check a checkpoint before a run continues from it: later, a damaged one would look like a failure of training."""

from pathlib import Path
from typing import Any

import torch

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.config.stored import from_dict
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.identity import differences
from resnet_lab.tasks.base import task_of
from resnet_lab.tasks.load import load_checkpoint, network_weights
from resnet_lab.tasks.pretrained import freeze, lr_factors
from resnet_lab.training.history import best_epoch
from resnet_lab.training.optimizer import STATES, build_optimizer


def continuable(config: Config, directory: RunDirectory) -> dict[str, Any]:
    """Return the last checkpoint of a run. Raises ConfigError if the run cannot continue from it."""
    path = directory.last
    checkpoint = load_checkpoint(path)
    if stored := checkpoint["resnet_lab"]["config"]:  # version 0.1 stored only a hash of the settings
        try:
            differing = differences(from_dict(stored), config)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}; move it away") from error
        if differing:
            raise ConfigError(f"{path} is a checkpoint of another configuration: move it away")
    network_weights(checkpoint, config, path)
    _refuse_wrong_history(checkpoint, config, path)
    _refuse_other_optimizer(checkpoint, config, path)
    if best_epoch(checkpoint["history"], config.best_by):
        network_weights(load_checkpoint(directory.best), config, directory.best)
    return checkpoint


def _refuse_wrong_history(checkpoint: dict[str, Any], config: Config, path: Path) -> None:
    history, score = checkpoint["history"], TASKS.info(config.task).score
    needed = {"epoch", "step", "seconds", "images_per_second", "lr"}
    needed |= {f"{part}/{name}" for part in ("train", "val") for name in ("loss", score)}
    is_whole = (
        0 < len(history) <= config.trainer.max_epochs
        and all(needed <= record.keys() for record in history)
        and [record["epoch"] for record in history] == [*range(1, len(history) + 1)]
        and history[-1]["step"] == checkpoint["global_step"]
        and checkpoint.get("epoch") == len(history) - 1
    )
    if not is_whole:
        raise ConfigError(f"{path} is damaged: its history, epoch and step do not match; move it away")


def _refuse_other_optimizer(checkpoint: dict[str, Any], config: Config, path: Path) -> None:
    """Compare parameter groups and shapes: fused optimisers do not, and would read past the end of a smaller tensor."""
    error = ConfigError(f"{path} is damaged: it holds the state of another optimiser; move it away")
    net, new = task_of(config).network(), (checkpoint["resnet_lab"].get("pretrained") or {}).get("new", [])
    freeze(net, config.pretrained.freeze)
    optimizer = build_optimizer(config.optim, net, lr_factors(net, config.pretrained, new))
    if len(checkpoint["optimizer_states"]) != 1:
        raise error
    [stored], expected = checkpoint["optimizer_states"], optimizer.state_dict()
    groups, expected_groups = stored["param_groups"], expected["param_groups"]
    if [group.get("params") for group in groups] != [group["params"] for group in expected_groups]:
        raise error
    if not all(isinstance(group.get("lr"), int | float) for group in groups):
        raise error
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, state in stored["state"].items():
        is_known = index in range(len(parameters)) and isinstance(state, dict)
        if not is_known or state.keys() != STATES[config.optim.name]:
            raise error
        for name, value in state.items():
            shape = torch.Size() if name == "step" else parameters[index].shape
            is_plain = isinstance(value, torch.Tensor) and value.is_floating_point() and value.layout == torch.strided
            if not is_plain or value.shape != shape:
                raise error
