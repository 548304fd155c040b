"""From overrides to a checked `Config`: what Hydra composes as plain dataclasses, and its errors in words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from resnet_lab.config import Config, ConfigError, count_classes

# In a wheel the YAML files lie inside the package, in a checkout beside it.
_PACKAGE = Path(__file__).parent
CONFIG_DIR = next(path for path in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if path.is_dir())


def options(group: str) -> list[str]:
    """The options of a group, by name."""
    return sorted(file.stem for file in (CONFIG_DIR / group).glob("*.yaml"))


GROUPS = sorted(folder.name for folder in CONFIG_DIR.iterdir() if folder.is_dir() and folder.name != "hydra")
ARCHITECTURE_GROUPS = [
    g for g in GROUPS if "# @package model" in (CONFIG_DIR / g / f"{options(g)[0]}.yaml").read_text()
]

# Of Lightning's Trainer, for one run on several devices.
ONE_DEVICE = ("trainer.strategy", "trainer.devices", "trainer.num_nodes")

# What Hydra and OmegaConf raise when a setting is wrong; `explain` words them.
COMPOSE_ERRORS = (HydraException, OmegaConfBaseException)

ConfigStore.instance().store(name="schema", node=Config)


def load_config(*overrides: str) -> Config:
    """The checked configuration for overrides as on the command line: `load_config("units=n9", "seed=1")`.

    Raises ConfigError with one message that names the setting, what is wrong and what would be right.
    """
    refuse_several_options(overrides)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3", job_name="resnet_lab"):
            composed: Any = compose("config", overrides=list(overrides))
    except (*COMPOSE_ERRORS, ValueError) as error:
        raise ConfigError(explain(error)) from error
    return to_config(composed)


def refuse_several_options(overrides: Sequence[str]) -> None:
    """Raise ConfigError where a group is given a list: Hydra would take the last option without a word."""
    for override in overrides:
        group, _, option = override.lstrip("+").partition("=")
        if group in GROUPS and option.startswith("["):
            raise ConfigError(f"{override}: a group takes one option; {group} can be: {', '.join(options(group))}")


def to_config(composed: DictConfig) -> Config:
    """Plain, checked dataclasses from what Hydra composed. Raises ConfigError."""
    composed = composed.copy()
    known = set(_settings(Config))
    if added := [name for name in _names(composed) if name not in known]:  # with "+", which Hydra lets pass
        raise ConfigError(_no_such_setting(added[0]))
    try:
        if composed.data.num_classes is None:
            composed.data.num_classes = count_classes(Path(composed.data.root).expanduser())
        config = OmegaConf.to_object(composed)
    except COMPOSE_ERRORS as error:
        raise ConfigError(explain(error)) from error
    assert isinstance(config, Config)
    return config


def claimed_depth(overrides: Sequence[str]) -> int | None:
    """The depth that the chosen experiment has in its name, as cifar10_56, unless other overrides touch the network."""
    chosen = dict(override.lstrip("+").split("=", 1) for override in overrides if "=" in override)
    if any(name in ARCHITECTURE_GROUPS or name.startswith("model.") for name in chosen):
        return None
    match = re.search(r"_(\d+)(_|$)", chosen.get("experiment", ""))
    return int(match[1]) if match else None


def plain(config: Any) -> dict[str, Any]:
    """The configuration as nested dictionaries of plain Python values, enums by name; `revive` is its inverse."""
    container = OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def revive(values: dict[str, Any]) -> Config:
    """The configuration that `plain` wrote down. Raises ConfigError when it is of another version of the lab."""
    try:
        merged: Any = OmegaConf.merge(OmegaConf.structured(Config), values)
        return to_config(merged)
    except COMPOSE_ERRORS as error:
        raise ConfigError(explain(error)) from error


def explain(error: Exception) -> str:
    """One message for a person from an error of Hydra or OmegaConf."""
    cause = error.__cause__ or error
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        if error.missing_cfg_file.startswith("hydra/sweeper/sampler/") and not find_spec("optuna"):
            return needs_extra("optuna")
        group, _, choice = error.missing_cfg_file.removesuffix(".yaml").rpartition("/")
        return f"there is no {group}={choice}; {group} can be: {', '.join(options(group))}"
    if isinstance(cause, (ConfigKeyError, ConfigAttributeError)):
        key = str(cause.full_key or cause.key)
        return _no_such_setting(key)
    if isinstance(cause, OmegaConfBaseException) and cause.full_key:
        hint = f"; write a list: {cause.full_key}=[…]" if "ListConfig" in str(cause) else ""
        return f"{cause.full_key}: {_first_line(cause)}{hint}"
    if optional := re.search(r"Could not override '(experiment|sweep)'", str(error)):
        return f"write +{optional[1]}=…, with a plus: there is none by default"
    if isinstance(error, OverrideParseException):
        setting, equals, value = str(error.override).partition("=")
        hint = f"""a value with special characters needs quotes: '{setting}="{value}"'"""
        return f"{error.override}: {hint if equals else 'overrides are written setting=value'}"
    if "Config group override" in str(error):
        return "a group is set to the name of an option, as in units=n3; a value has a dot, as in model.units=[3]"
    hint = "; several values make several runs, with -m" if "Ambiguous value" in str(error) else ""
    return f"{_first_line(error)}{hint}"


def needs_extra(name: str) -> str:
    """What to say where packages are missing that only one engine for sweeps needs."""
    return f"this needs packages that are not installed: pip install 'resnet-lab[{name}]'; docs/clusters.md says more"


def _no_such_setting(name: str) -> str:
    if name in ONE_DEVICE:
        return (
            f"there is no setting {name}: a run trains on one device, and never as ddp, which would start the whole "
            "command again in each of its processes; -m gives every GPU a job of its own, hydra.launcher.jobs_per_gpu "
            "of them"
        )
    known = [*_settings(Config), *GROUPS]
    close = difflib.get_close_matches(name, known, n=3) or [other for other in known if other.endswith("." + name)]
    hint = f"close to it: {', '.join(close)}" if close else "--help lists the groups, --cfg job the settings"
    return f"there is no setting {name}; {hint}"


def _settings(schema: Any, prefix: str = "") -> Iterator[str]:
    """The dotted name of every setting there is."""
    hints = get_type_hints(schema)
    for item in fields(schema):
        yield prefix + item.name
        if is_dataclass(nested := hints[item.name]):
            yield from _settings(nested, f"{prefix}{item.name}.")


def _names(composed: DictConfig, prefix: str = "") -> Iterator[str]:
    """The dotted name of every setting that was composed."""
    for key in map(str, composed):
        yield prefix + key
        if not OmegaConf.is_missing(composed, key) and isinstance(node := composed._get_node(key), DictConfig):
            yield from _names(node, f"{prefix}{key}.")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
