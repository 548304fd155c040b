"""A sweep's composer, without a sweep: it composes configurations in a tenth of the time that Hydra takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode

from resnet_lab.config import hydra_private
from resnet_lab.config.compose import load_config, prepare, to_config
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


def composer() -> Composer:
    """One for all tests, which share what it has composed."""
    return _of((*UNITS, *SHORTCUTS, *DATASETS, *TASKS, *AUGMENTATIONS))


@lru_cache(maxsize=1)  # a test may remove a name and add it again
def _of(names: tuple[str, ...]) -> Composer:
    with composing() as made:
        return made


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
