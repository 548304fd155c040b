"""A sweep's composer, without a sweep."""

from collections.abc import Iterator
from contextlib import contextmanager

from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode

from resnet_lab.config import hydra_private
from resnet_lab.config.compose import prepare
from resnet_lab.config.groups import CONFIG_DIR
from resnet_lab.sweep.composer import Composer


@contextmanager
def composing(*given: str) -> Iterator[Composer]:
    """What composes the jobs of `resnet-lab -m GIVEN`."""
    prepared = prepare(given)
    with hydra_private.apart(), initialize_config_dir(str(CONFIG_DIR), version_base="1.3", job_name="resnet_lab"):
        loader = GlobalHydra.instance().config_loader()
        context = HydraContext(config_loader=loader, callbacks=Callbacks())
        yield Composer(context, loader.load_configuration("config", prepared, RunMode.MULTIRUN))
