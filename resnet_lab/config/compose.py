"""Compose overrides with Hydra and convert the result to a checked `Config` of plain dataclasses."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf, open_dict

from resnet_lab.config.canonical import architecture
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig
from resnet_lab.config.enums import Layout
from resnet_lab.config.extending import imported, load_plugins, requested_plugins
from resnet_lab.config.grammar import refuse_malformed
from resnet_lab.config.groups import COMBINABLE, CONFIG_DIR, GROUPS, in_range, listing, registered
from resnet_lab.config.hydra_private import apart
from resnet_lab.config.messages import COMPOSE_ERRORS, explain, no_such_setting, setting_names
from resnet_lab.config.migrations import rename_settings
from resnet_lab.config.registry import AUGMENTATIONS, DATASETS, SHORTCUTS, TASKS, UNITS
from resnet_lab.config.schema import Config
from resnet_lab.config.values import refuse_wrong_values

Composed = TypeVar("Composed")

# Layers that the depth in the names of a family counts besides those on the longest path: three projections, but not
# the classifier (arXiv:1605.07146: 6n + 4); one layer for three of the stem (arXiv:1812.01187).
ALSO_COUNTED = {"wrn": 2, "resnetd": -2}

_config_dirs: list[str] = []  # the user's --config-dir folders, also searched by base_of


def load_config(*overrides: str) -> Config:
    """Return the checked configuration for command-line overrides, as in `load_config("units=n9", "seed=1")`.

    Raises ConfigError, whose message names the setting, the problem and the valid values.
    """
    prepared = prepare(overrides)
    search = [f"hydra.searchpath={json.dumps(_config_dirs, ensure_ascii=False)}"] if _config_dirs else []
    try:
        with apart(), initialize_config_dir(str(CONFIG_DIR), version_base="1.3", job_name="resnet_lab"):
            composed = with_numbered_options(lambda: compose("config", overrides=[*prepared, *search]))
    except (*COMPOSE_ERRORS, ValueError) as error:
        raise ConfigError(explain(error)) from error
    return to_config(composed)


def prepare(overrides: Sequence[str]) -> list[str]:
    """Import plugins, register all options with Hydra, and return the overrides with renamed settings updated.

    Raises ConfigError if a plugin cannot be imported, or if a group is set to a list, of which Hydra would silently
    use the last option.
    """
    refuse_wrong_values([override for override in overrides if override.startswith("plugins=")])
    load_plugins(requested_plugins(overrides))
    _register((*UNITS, *SHORTCUTS, *DATASETS, *TASKS, *AUGMENTATIONS))
    for override in overrides:
        group, _, option = override.lstrip("+").partition("=")
        if group in GROUPS and option.startswith("[") and group not in COMBINABLE:
            raise ConfigError(f"{override}: a group takes one option; {group} can be: {listing(group)}")
    renamed = rename_settings(overrides)
    refuse_malformed(renamed)
    refuse_wrong_values(renamed)
    return renamed


@lru_cache(maxsize=1)  # only the latest call: a test may remove a name and add it again
def _register(names: tuple[str, ...]) -> None:
    """Register with Hydra the schema and all options that have no YAML file; repeat when a plugin has added names."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for group in GROUPS:
        package = {"data": "data", "diagnostics": "_global_"}.get(group, "model")
        for name, settings in registered(group).items():
            store.store(name=name, group=group, package=package, node=settings)
    for cached in (_composed, _default):
        cached.cache_clear()  # cached results lack the new names


def with_numbered_options(composing: Callable[[], Composed]) -> Composed:
    """Call `composing`; if an option such as `units=n4` is missing, register it with Hydra and retry.

    Registering all of them in advance, about 1,900, would double the time of every composition.
    """
    while True:
        try:
            return composing()
        except MissingConfigException as error:
            group, _, name = (error.missing_cfg_file or "").removesuffix(".yaml").rpartition("/")
            option = in_range(group, name)
            if option is None:
                raise
            section, settings = option
            ConfigStore.instance().store(name=name, group=group, package=section, node=settings)


def use_config_dirs(hydra: Any) -> None:
    """Remember the user's --config-dir folders; `hydra` is Hydra's own part of the composed configuration."""
    _config_dirs[:] = [source.path for source in hydra.runtime.config_sources if source.provider == "command-line"]


def to_config(composed: DictConfig) -> Config:
    """Convert what Hydra composed to plain, checked dataclasses. Raises ConfigError."""
    composed = composed.copy()
    with open_dict(composed):
        composed.pop("hydra", None)  # Hydra's own part of a sweep job
    content: Any = OmegaConf.to_container(composed)
    load_plugins(content["plugins"])  # a sweep job runs in its own process
    known = set(setting_names())
    if added := [name for name in _names(content) if name not in known]:  # Hydra accepts new keys with "+"
        raise ConfigError(no_such_setting(added[0]))
    try:
        task = TASKS.info(composed.task)
        if task.labels and composed.data.table.labels is None and DATASETS.info(composed.data.name).any_labels:
            composed.data.table.labels = task.labels
        counted = composed.data.num_classes is None
        _look_at_images(composed, required=task.num_outputs(composed.data) is None or composed.data.image_size is None)
        if OmegaConf.is_interpolation(composed.model, "num_classes"):
            composed.model.num_classes = task.num_outputs(composed.data)
        config = OmegaConf.to_object(composed)
    except COMPOSE_ERRORS as error:
        raise ConfigError(explain(error)) from error
    assert isinstance(config, Config)
    if (count := task.num_outputs(config.data) or 0) < task.fewest_outputs:
        where = _source_of_classes(config.data) if counted else " from data.num_classes"
        raise ConfigError(f"task={config.task} needs at least {task.fewest_outputs} classes, got {count}{where}")
    return config


def _source_of_classes(data: DataConfig) -> str:
    """Return which setting to look at if too few classes were counted, as the end of a message."""
    reads = DATASETS.info(data.name).reads
    if "series" in reads:
        return f": data.series.name={data.series.name} has no more, choose another data set"
    if "table" in reads:
        return f" in {data.folder / data.table.file}: is data.table.label={data.table.label} the column of the classes?"
    return f": is data.root={data.root} one level too high or too low?"


def _look_at_images(composed: DictConfig, required: bool) -> None:
    """Set layout and number of classes of own images, and the shape of series. Raises ConfigError if `required`."""
    data = OmegaConf.to_object(composed.data)
    assert isinstance(data, DataConfig)
    function = DATASETS.info(data.name).look
    if not function or not (required or data.layout is Layout.auto):
        return
    try:
        layout, count, *shape = imported(function)(data)
    except ConfigError:
        if required:
            raise
        return  # reported later, when the images are needed
    composed.data.layout = layout
    if required and composed.data.num_classes is None:
        composed.data.num_classes = count
    for name, value in zip(("channels", "image_size"), shape, strict=False):
        composed.data[name] = composed.data[name] or value


def _names(content: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all composed settings and sections."""
    for key, value in content.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _names(value, f"{prefix}{key}.")


def base_of(config: Config) -> Config:
    """Return the base of a run, whose directory is named after the settings that differ from the base.

    The base is the experiment `config.name`, or the default for the run's data.
    """
    data = config.data
    count = "null" if data.num_classes is None else data.num_classes
    known: tuple[str, ...] = (f"data.num_classes={count}", f"data.layout={data.layout.name}") if data.own_images else ()
    shape = shape_overrides(data)
    if data.reads_series:
        known = (*known, *shape)
    plugins = (f"plugins=[{','.join(config.plugins)}]",) if config.plugins else ()
    if is_option("experiment", config.name):
        if data.dims == 1 and not data.reads_series:  # the experiment's own series may not be there
            known = (*known, *shape, f"data.num_classes={count}")
        return _composed(f"+experiment={config.name}", *known, *plugins)
    return _default(config.name, data.name, config.task, known, plugins)


def shape_overrides(data: DataConfig) -> tuple[str, ...]:
    """Return overrides that set channels and length of series, which would otherwise be read from their files."""
    return f"data.channels={data.channels}", f"data.image_size={data.image_shape[1]}"


_composed = cache(load_config)


@cache
def _default(name: str, data: str, task: str, known: tuple[str, ...], plugins: tuple[str, ...]) -> Config:
    chosen = [f"data={data}"] if is_option("data", data) else []
    base, default = load_config(*chosen, f"task={task}", *known, *plugins), load_config(*plugins)
    # Some data sets fit one task only, so the base is composed with the run's task. Then the base gets the default
    # task, so that the directory's name shows a task that is not the default.
    base.task = default.task
    if name != data:  # a custom name does not identify the data set
        base.data.name = default.data.name
    return base


def is_option(group: str, name: str) -> bool:
    """Return whether `group` has an option `name`: in `conf/`, in a --config-dir folder or without a file."""
    folders = [CONFIG_DIR, *map(Path, _config_dirs)]
    return name in registered(group) or any((folder / group / f"{name}.yaml").is_file() for folder in folders)


def claimed_depth(config: Config) -> int | None:
    """Return the depth that the name of an experiment such as cifar10_56 claims; None if the run has another network.

    It is the number of layers on the longest path.
    """
    match = re.search(r"_(\d+)(_|$)", config.name)
    if not match or not is_option("experiment", config.name):
        return None
    if architecture(config.model) != architecture(base_of(config).model):
        return None
    return int(match[1]) - sum(ALSO_COUNTED.get(word, 0) for word in config.name.split("_"))
