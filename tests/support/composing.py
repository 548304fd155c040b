"""A sweep's composer, without a sweep: it composes configurations in a small part of the time that Hydra takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy, deepcopy
from functools import lru_cache, partial
from typing import Any, Self

from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository
from hydra._internal.defaults_list import create_defaults_list
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from resnet_lab.config import hydra_private
from resnet_lab.config.compose import _composed, load_config, prepare, to_config, with_numbered_options
from resnet_lab.config.groups import CONFIG_DIR
from resnet_lab.config.messages import COMPOSE_ERRORS
from resnet_lab.config.registry import AUGMENTATIONS, DATASETS, SHORTCUTS, TASKS, UNITS
from resnet_lab.config.schema import Config
from resnet_lab.sweep.composer import Composer


@contextmanager
def composing(*given: str) -> Iterator[Composer]:
    """What composes the jobs of `resnet-lab -m GIVEN`."""
    prepared = prepare(given)
    with hydra_private.apart(), initialize_config_dir(str(CONFIG_DIR), version_base="1.3", job_name="resnet_lab"):
        loader = GlobalHydra.instance().config_loader()
        context = HydraContext(config_loader=loader, callbacks=Callbacks())
        yield Composer(context, loader.load_configuration("config", prepared, RunMode.MULTIRUN))


class ReadOnce(ConfigRepository):
    """The lab's options without Hydra's own part. Hydra reads them for each composition; here they are kept."""

    def __init__(self, search_path: ConfigSearchPath) -> None:
        super().__init__(search_path)
        self.kept: dict[str, ConfigResult] = {}

    def __deepcopy__(self, memo: Any) -> Self:
        return self  # Hydra copies it for each composition

    def load_config(self, config_path: str) -> ConfigResult | None:
        if config_path not in self.kept:
            if (read := super().load_config(config_path)) is None:
                return None  # it may be registered later
            if config_path == "config":
                read.defaults_list = [one for one in read.defaults_list if "hydra/" not in str(one)]
                read.config.pop("hydra")
            self.kept[config_path] = read
        found = copy(self.kept[config_path])
        found.config = deepcopy(found.config)  # Hydra merges others into it
        return found


class Quick(Composer):
    """Takes the steps of Hydra that make the lab's own settings, and leaves out those for Hydra's."""

    def _options(self, *overrides: str) -> DictConfig:
        loader: Any = self.hydra_context.config_loader
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        loader.validate_sweep_overrides_legal(parsed, RunMode.RUN, from_shell=True)
        return with_numbered_options(partial(self._merged, loader, parsed))

    def _merged(self, loader: Any, overrides: list[Override]) -> DictConfig:
        repository = CachingConfigRepository(loader.repository)
        chosen = create_defaults_list(repository, "config", overrides, prepend_hydra=False, skip_missing=False)
        composed = loader._compose_config_from_defaults_list(chosen.defaults, repository)
        OmegaConf.set_struct(composed, True)
        loader._apply_overrides_to_config(chosen.config_overrides, composed)
        return composed


def composer() -> Composer:
    """One for all tests, which share what it has composed."""
    return _of((*UNITS, *SHORTCUTS, *DATASETS, *TASKS, *AUGMENTATIONS))


@lru_cache(maxsize=1)  # a test may remove a name and add it again
def _of(names: tuple[str, ...]) -> Composer:
    with composing() as made:
        loader: Any = made.hydra_context.config_loader
        loader.repository = ReadOnce(loader.config_search_path)
        return Quick(made.hydra_context, made.config)


def config(*overrides: str) -> Config:
    """What `load_config` returns and raises; `test_composer.py` compares the two."""
    prepared = prepare(overrides)
    try:
        composed = composer()(prepared)
    except (*COMPOSE_ERRORS, ValueError):
        return load_config(*overrides)
    return to_config(composed)


# Of experiments whose files say the shape.
SHAPES = {"ucr_resnet": ("data.channels=1", "data.image_size=150", "data.num_classes=2")}


def of_experiment(name: str) -> list[str]:
    """What composes an experiment without any files."""
    return [f"+experiment={name}", *SHAPES.get(name, ())]


def experiment(name: str) -> Config:
    """An experiment, composed once for all tests, and for what the lab itself compares with it."""
    return deepcopy(_composed(*of_experiment(name)))
