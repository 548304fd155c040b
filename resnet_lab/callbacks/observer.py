"""The base of all callbacks that only observe a run, the images that they look at, and where they write."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor

from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.loader import memory_format
from resnet_lab.training.harmless import harmless


class Observer(Checkpoint):
    """A callback whose hooks are `harmless`, and which observes an epoch after its checkpoint is on disk.

    Lightning treats it as a checkpoint callback. It therefore calls it in the order of the trainer's list, after
    `Checkpoints`, when the module and all other callbacks have finished the epoch.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, method in list(vars(cls).items()):
            if name.startswith("on_"):
                setattr(cls, name, harmless(method if "_batch_" in name else _timed(method)))


def _timed(method: Callable[..., None]) -> Callable[..., None]:
    """Count a hook's time as diagnostics. Those between mini-batches wait for the steps, and count as them."""

    @wraps(method)
    def timed(self: Any, trainer: Any, pl_module: Any, *args: Any) -> None:
        with pl_module.clock.during("diagnostics"):
            method(self, trainer, pl_module, *args)

    return timed


def prepared(data: ImageData, rows: np.ndarray, pl_module: Any) -> tuple[Tensor, Tensor]:
    """Return training images, normalised, and their labels, on the network's device and in its precision."""
    like = next(pl_module.net.parameters())
    pixels = torch.tensor(data.source.train.pixels[rows], device=like.device)
    images = data.normalise(pixels).to(like.dtype).contiguous(memory_format=memory_format(data.config))
    return images, torch.tensor(data.source.train.labels[rows], device=like.device)


def writer_of(trainer: Trainer) -> Any:
    """Return TensorBoard's `SummaryWriter`."""
    return trainer.loggers[0].experiment  # type: ignore[attr-defined]
