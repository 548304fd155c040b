"""From overrides to a checked `Config`: what Hydra composes as plain dataclasses."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf

from resnet_lab.config.canonical import architecture
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import class_folders
from resnet_lab.config.groups import CONFIG_DIR, GROUPS, in_range, listing, registered
from resnet_lab.config.hydra_private import apart
from resnet_lab.config.messages import COMPOSE_ERRORS, explain, no_such_setting, setting_names
from resnet_lab.config.migrations import respell
from resnet_lab.config.plugins import asked_for, load_plugins
from resnet_lab.config.registry import AUGMENTATIONS, DATASETS, SHORTCUTS, TASKS, UNITS
from resnet_lab.config.schema import Config

Composed = TypeVar("Composed")

_config_dirs: list[str] = []  # of the user, by --config-dir; where the base of a run's name is composed from, too


def load_config(*overrides: str) -> Config:
    """The checked configuration for overrides as on the command line: `load_config("units=n9", "seed=1")`.

    Raises ConfigError with one message that names the setting, what is wrong and what would be right.
    """
    prepared = prepare(overrides)
    search = [f"hydra.searchpath={json.dumps(_config_dirs, ensure_ascii=False)}"] if _config_dirs else []
    try:
        with apart(), initialize_config_dir(str(CONFIG_DIR), version_base="1.3", job_name="resnet_lab"):
            composed = with_numbers(lambda: compose("config", overrides=[*prepared, *search]))
    except (*COMPOSE_ERRORS, ValueError) as error:
        raise ConfigError(explain(error)) from error
    return to_config(composed)


def prepare(overrides: Sequence[str]) -> list[str]:
    """Overrides as Hydra is to have them, once plugins are imported and all options are known to it.

    Raises ConfigError where a plugin cannot be imported, or a group is given a list: Hydra would take the last option
    without a word.
    """
    load_plugins(asked_for(overrides))
    _register((*UNITS, *SHORTCUTS, *DATASETS, *TASKS, *AUGMENTATIONS))
    for override in overrides:
        group, _, option = override.lstrip("+").partition("=")
        if group in GROUPS and option.startswith("["):
            raise ConfigError(f"{override}: a group takes one option; {group} can be: {listing(group)}")
    return respell(overrides)


@lru_cache(maxsize=1)  # of the last ones only: tests take names away again
def _register(names: tuple[str, ...]) -> None:
    """Tell Hydra the schema, and every option that has no file; once more where a plugin has added names."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for group in GROUPS:
        package = {"data": "data", "diagnostics": "_global_"}.get(group, "model")
        for name, settings in registered(group).items():
            store.store(name=name, group=group, package=package, node=settings)
    for cached in (_composed, _default):
        cached.cache_clear()  # without what was added


def with_numbers(composing: Callable[[], Composed]) -> Composed:
    """Call what composes, and again where it lacked an option such as `units=n4`, once Hydra knows that.

    All of them from the start, some 900, would double the time that Hydra takes to compose anything.
    """
    while True:
        try:
            return composing()
        except MissingConfigException as error:
            group, _, name = (error.missing_cfg_file or "").removesuffix(".yaml").rpartition("/")
            settings = in_range(group, name)
            if settings is None:
                raise
            ConfigStore.instance().store(name=name, group=group, package="model", node=settings)


def use_config_dirs(hydra: Any) -> None:
    """Remember the user's own folders of configurations, from Hydra's part of what it composed."""
    _config_dirs[:] = [source.path for source in hydra.runtime.config_sources if source.provider == "command-line"]


def to_config(composed: DictConfig) -> Config:
    """Plain, checked dataclasses from what Hydra composed. Raises ConfigError."""
    composed = composed.copy()
    content: Any = OmegaConf.to_container(composed)
    load_plugins(content["plugins"])  # of a job of a sweep, in a process of its own
    known = set(setting_names())
    if added := [name for name in _names(content) if name not in known]:  # with "+", which Hydra lets pass
        raise ConfigError(no_such_setting(added[0]))
    try:
        task = TASKS.info(composed.task)
        if task.num_outputs(composed.data) is None:
            composed.data.num_classes = len(class_folders(Path(composed.data.root).expanduser(), "train"))
        if OmegaConf.is_interpolation(composed.model, "num_classes"):
            composed.model.num_classes = task.num_outputs(composed.data)
        config = OmegaConf.to_object(composed)
    except COMPOSE_ERRORS as error:
        raise ConfigError(explain(error)) from error
    assert isinstance(config, Config)
    return config


def _names(content: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted name of every setting that was composed."""
    for key, value in content.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _names(value, f"{prefix}{key}.")


def base_of(config: Config) -> Config:
    """What a run's directory is named against: the experiment of the run's `name`, else the default for its data."""
    data = config.data
    counted = [f"data.num_classes={data.num_classes}"] if data.own_images else []
    plugged = [f"plugins=[{','.join(config.plugins)}]"] if config.plugins else []
    if is_option("experiment", config.name):
        return _composed(f"+experiment={config.name}", *counted, *plugged)
    return _default(config.name, data.name, config.task, *counted, *plugged)


@cache
def _composed(*overrides: str) -> Config:
    return load_config(*overrides)


@cache
def _default(name: str, data: str, task: str, *overrides: str) -> Config:
    chosen = [f"data={data}"] if is_option("data", data) else []
    base, default = load_config(*chosen, f"task={task}", *overrides), load_config(*overrides)
    base.task = default.task  # some data sets are for one task, and no other would compose
    if name != data:  # another name does not say which data
        base.data.name = default.data.name
    return base


def is_option(group: str, name: str) -> bool:
    """Whether a group has an option of this name, in `conf/`, in the user's own folders or without a file."""
    folders = [CONFIG_DIR, *map(Path, _config_dirs)]
    return name in registered(group) or any((folder / group / f"{name}.yaml").is_file() for folder in folders)


def claimed_depth(config: Config) -> int | None:
    """The depth that an experiment has in its name, as cifar10_56, where the run has the network of that experiment."""
    match = re.search(r"_(\d+)(_|$)", config.name)
    if not match or not is_option("experiment", config.name):
        return None
    return int(match[1]) if architecture(config.model) == architecture(base_of(config).model) else None
