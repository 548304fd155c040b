"""Turn errors of Hydra and OmegaConf into one readable message."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from typing import Any

from hydra.errors import HydraException, InstantiationException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from resnet_lab.config.groups import CONFIG_DIR, GROUPS, listing, options
from resnet_lab.config.registry import AUGMENTATIONS
from resnet_lab.config.schema import Config
from resnet_lab.text import visible

# Settings of other tools, by the last part of their names. ELSEWHERE has their names here, INSTEAD what to do instead.
ELSEWHERE = {
    "epochs": "trainer.max_epochs",
    "num_epochs": "trainer.max_epochs",
    "max_epochs": "trainer.max_epochs",
    "learning_rate": "optim.lr",
    "lr": "optim.lr",
    "batch_size": "optim.batch_size",
    "weight_decay": "optim.weight_decay",
    "momentum": "optim.momentum",
    "optimizer": "optim",
    "dataset": "data",
    "drop_path": "model.stochastic_depth.rate",
    "drop_path_rate": "model.stochastic_depth.rate",
    "dropout": "model.unit_dropout",
    "growth_rate": "model.filters",
    "groups": "model.cardinality",
    "accelerator": "trainer.accelerator",
    "precision": "trainer.precision",
    "limit_train_batches": "trainer.max_batches",
    "num_workers": "data.workers",
}
_NETWORK = "choose a published network, as in +experiment=imagenet_50, or build one: stacks=four units=n3"
_CONTINUES = "the same command again continues a run after its last full epoch"
_DEVICES = "trainer.devices=2 trains one network on two devices"
INSTEAD = {
    "se": "attention=se is squeeze-and-excitation",
    "model": _NETWORK,
    "arch": _NETWORK,
    "fast_dev_run": "trainer=debug trains two mini-batches, to see whether everything works",
    "logger": "every run writes files for TensorBoard into its directory",
    "ckpt_path": _CONTINUES,
    "resume": _CONTINUES,
    "strategy": _DEVICES,
    "gpus": _DEVICES,
    "num_nodes": f"{_DEVICES}; on several machines, start them with torchrun or srun",
}

# Raised by Hydra and OmegaConf for invalid settings; `explain` translates them.
COMPOSE_ERRORS = (HydraException, OmegaConfBaseException)


def explain(error: Exception) -> str:
    """Return one readable message for an error of Hydra or OmegaConf."""
    cause = error.__cause__ or error
    where = getattr(cause, "full_key", None) or "a setting"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        if error.missing_cfg_file.startswith("hydra/sweeper/sampler/") and not find_spec("optuna"):
            return needs_extra("optuna")
        group, _, choice = error.missing_cfg_file.removesuffix(".yaml").rpartition("/")
        close = difflib.get_close_matches(choice, options(group), cutoff=0.8)
        similar = f"similar: {', '.join(close)}; " if close else ""
        return f"there is no {group}={choice}; {similar}{group} can be: {listing(group)}"
    if isinstance(cause, (ConfigKeyError, ConfigAttributeError)):
        return no_such_setting(str(cause.full_key or cause.key))
    if missing := re.search(r"Interpolation key '(.+)' not found", str(cause)):
        return f"{where} refers to {missing[1]}, but there is no such setting"
    if "interpolation" in str(cause).lower():
        return f"{where} refers to a setting whose value it cannot take"
    if "is not a subclass of" in str(cause):
        return f"{where} is a group of settings, not a value"
    if isinstance(cause, OmegaConfBaseException) and cause.full_key:
        hint = f"; write a list: {cause.full_key}=[…]" if "ListConfig" in str(cause) else ""
        return f"{cause.full_key}: {_first_line(cause)}{hint}"
    if optional := re.search(r"Could not override '(experiment|sweep)'", str(error)):
        return f"write +{optional[1]}=… with a plus: the default configuration has no {optional[1]}"
    if isinstance(error, OverrideParseException):
        override = visible(str(error.override))
        setting, _, value = override.partition("=")
        return f"""{override}: a value with special characters needs quotes: '{setting}="{value}"'"""
    if several := re.search(r"'(.+?)'(?: requires --multirun|\n1\. To use it as a list)", str(error)):
        return f"{several[1]}: to run several values, add -m"
    if isinstance(error, InstantiationException) and (key := re.search("full_key: (.+)", str(error))):
        return f"{key[1]}: {_first_line(cause)}"  # Hydra's own first line only names a class
    if "does not support sweep type" in str(error):
        return (
            "interval(a,b) is for what hydra/sweeper=population or search draws; other values are listed, as in "
            "seed=0,1, or a range, as in 'seed=range(2)'"
        )
    if "null byte" in str(error):
        return "a folder in hydra.run, hydra.sweep or hydra.searchpath contains a NUL character, which no path can"
    if "Config group override" in str(error):
        return "set a group to one of its options, as in units=n3, or a value by its dotted name, as in model.units=[3]"
    return _first_line(error)


def needs_extra(name: str) -> str:
    """Return the message for missing packages of an optional sweep engine."""
    return f"required packages are missing: pip install 'resnet-lab[{name}]'; see docs/clusters.md"


def known_elsewhere(name: str) -> bool:
    """Return whether a name that is not a setting here is one in other tools."""
    return not name.startswith("hydra.") and name.rpartition(".")[2] in {**ELSEWHERE, **INSTEAD}


def no_such_setting(name: str, value: str = "…") -> str:
    """Return the message for an unknown setting: what it is called here, or similar names."""
    if known_elsewhere(name):
        last = name.rpartition(".")[2]
        hint = f": {INSTEAD[last]}" if last in INSTEAD else f"; use {ELSEWHERE[last]}={visible(value)}"
        return f"there is no setting {name}{hint}"
    if owners := _engines_with(name):
        return f"there is no setting {name} here; it belongs to {' and '.join(owners)}"
    if own := [other for other in setting_names() if other.startswith(f"model.{name}.")]:  # a group with this name
        return f"there is no setting {name}, but {', '.join(own)}"
    known = [*setting_names(), *GROUPS]
    close = [*dict.fromkeys(difflib.get_close_matches(name, known, n=4))][:3] or [
        other for other in known if other.endswith("." + name)
    ]
    hint = f"similar names: {', '.join(close)}" if close else "--help lists the groups, --cfg job the settings"
    return f"there is no setting {name}; {hint}"


def _engines_with(name: str) -> list[str]:
    """Return the launchers and sweepers that have a setting such as `hydra.sweeper.budget`."""
    hydra, _, rest = name.partition(".")
    group, _, key = rest.partition(".")
    if hydra != "hydra" or group not in ("launcher", "sweeper"):
        return []
    files = sorted((CONFIG_DIR / hydra / group).glob("*.yaml"))
    return [f"hydra/{group}={file.stem}" for file in files if key in OmegaConf.load(file)]


def setting_names() -> list[str]:
    """Return the dotted names of all settings and sections."""
    return list(setting_types())


def setting_types() -> dict[str, Any]:
    """Return the type of every setting and section by its dotted name."""

    def walk(schema: Any, prefix: str) -> Iterator[tuple[str, Any]]:
        for item in fields(schema):
            yield prefix + item.name, item.type
            if is_dataclass(item.type):
                yield from walk(item.type, f"{prefix}{item.name}.")

    types = dict(walk(Config, ""))
    for name in AUGMENTATIONS:
        settings = AUGMENTATIONS.info(name).settings
        types |= {f"augment.{name}": settings, **dict(walk(settings, f"augment.{name}."))}
    return types


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
