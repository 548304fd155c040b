"""More epochs: a run begins with those of a shorter, otherwise equal run, if all steps have the same rates."""

from dataclasses import replace
from typing import Any

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.optim import OptimConfig
from resnet_lab.config.schema import Config
from resnet_lab.config.stored import from_dict, to_stored
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.identity import identity
from resnet_lab.rundir.states import State
from resnet_lab.tasks.load import load_checkpoint
from resnet_lab.text import plural
from resnet_lab.training.checkpoint import Snapshot, save
from resnet_lab.training.history import best_epoch
from resnet_lab.training.resume import continuable
from resnet_lab.training.schedule import rates


def beginning(config: Config, directory: RunDirectory) -> tuple[Snapshot | None, str]:
    """Return the last checkpoint of the longest usable shorter run, as one of this run; None if there is no such run.

    If there are shorter runs but none can be used, the text says why the longest cannot; otherwise it is empty.
    """
    reasons = []
    for shorter in _shorter_runs(config, directory):
        stored = shorter.stored_config()
        epochs = plural(stored.trainer.max_epochs, "epoch")
        try:
            checkpoint = continuable(stored, shorter)
        except ConfigError as error:
            reasons.append(f"this run starts at epoch 1, since its first {epochs} cannot be taken over: {error}")
            continue
        if _same_rates(checkpoint, stored, config):
            name = shorter.path.relative_to(directory.path.parents[1])
            facts = {"run": str(name), "epochs": len(checkpoint["history"]), "step": checkpoint["global_step"]}
            return _as_own(checkpoint, config, facts), ""
        reasons.append(
            f"this run starts at epoch 1, since {_schedules(config.optim)} gives its first {epochs} "
            f"other rates than those of {shorter.path}; pretrained.run={shorter.path} would use its weights"
        )
    return None, reasons[0] if reasons else ""


def copy_beginning(checkpoint: Snapshot, directory: RunDirectory) -> None:
    """Write what `beginning` returned, and the shorter run's best checkpoint if it has one, as checkpoints of a run."""
    facts = checkpoint["resnet_lab"]
    if best_epoch(checkpoint["history"], from_dict(facts["config"]).best_by):
        shorter = RunDirectory(directory.path.parents[1] / facts["continued_from"]["run"])
        best = load_checkpoint(shorter.best)
        save({**best, "resnet_lab": facts}, directory.best)
    save(checkpoint, directory.last)  # written last: without it, a run copies both again


def _shorter_runs(config: Config, directory: RunDirectory) -> list[RunDirectory]:
    """Return the finished runs that have fewer epochs and are otherwise equal, the longest first."""
    found: dict[int, RunDirectory] = {}
    for file in directory.path.parents[1].glob(f"*/{directory.path.name}/status.json"):
        shorter = RunDirectory(file.parent)
        status = shorter.status()
        if status.get("state") != State.done:
            continue
        epochs = status.get("epochs") or shorter.result().get("epochs", 0)  # version 0.1 stored them in the result only
        if 0 < epochs < config.trainer.max_epochs and _is_same(shorter, config, epochs):
            found[epochs] = shorter
    return [found[epochs] for epochs in sorted(found, reverse=True)]


def _is_same(shorter: RunDirectory, config: Config, epochs: int) -> bool:
    """Return whether a run is `config` with that many epochs, trained with the same images throughout."""
    expected = replace(config, trainer=replace(config.trainer, max_epochs=epochs))
    try:
        return identity(shorter.stored_config()) == identity(expected) and not shorter.image_changes()
    except ConfigError:
        return False  # a damaged run: the report lists it


def _same_rates(checkpoint: Snapshot, shorter: Config, longer: Config) -> bool:
    """Return whether all steps up to a checkpoint have the rates, momentum and decay included, of the longer run."""
    steps, history = checkpoint["global_step"], checkpoint["history"]
    per_epoch = steps // len(history)
    total, longer_total = (per_epoch * config.trainer.max_epochs for config in (shorter, longer))
    optim = longer.optim  # a plateau depends on the history alone, whichever part of it
    return all(rates(optim, step, total, history) == rates(optim, step, longer_total, history) for step in range(steps))


def _schedules(optim: OptimConfig) -> str:
    decay = f" with optim.decay_schedule={optim.decay_schedule.kind.name}" if optim.decay_changes else ""
    return f"optim.schedule={optim.schedule.kind.name}{decay}"


def _as_own(checkpoint: Snapshot, config: Config, continued_from: dict[str, Any]) -> Snapshot:
    facts = {**checkpoint["resnet_lab"], "config": to_stored(config), "continued_from": continued_from}
    return {**checkpoint, "resnet_lab": facts}
