"""Implementations of the same training, one per module: `train(task, observer)` returns the outcome."""

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from benchmarks.task import Task


class Observer:
    """Callbacks that an implementation calls while it trains; these do nothing."""

    def epoch_begins(self) -> None:
        """Called when the first mini-batch of an epoch is available, or earlier."""

    def step(self, images_BCHW: Tensor, labels_B: Tensor, loss: Tensor) -> None:
        """Called after a training step; `loss` is from before the update."""

    def epoch_ends(self) -> None:
        """Called when the last step of an epoch has been submitted to the device."""


class Stopwatch(Observer):
    """Measures the seconds of every epoch, until the device has finished it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: list[float] = []

    def epoch_begins(self) -> None:
        self.start = time.perf_counter()

    def epoch_ends(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - self.start)


@dataclass(frozen=True)
class Trained:
    """The outcome of a training; with `seconds` per epoch if the implementation measures them, as the lab does."""

    weights: dict[str, Tensor]  # with BatchNorm statistics
    momentum: list[Tensor]  # in the order of the parameters
    lr: float  # of the last step
    steps: int
    seconds: list[float] | None = None

    @classmethod
    def of(cls, net: nn.Module, optimizer: torch.optim.Optimizer, lr: float, steps: int) -> Self:
        [group] = optimizer.param_groups
        momentum = [optimizer.state[parameter]["momentum_buffer"] for parameter in group["params"]]
        return cls(net.state_dict(), momentum, lr, steps)


class Implementation(Protocol):
    """A module of this package."""

    train: Callable[[Task, Observer], Trained]


def implementation(name: str) -> tuple[Implementation, list[str]]:
    """Return the module and the overrides of an implementation named like `lab:trainer.compile=inductor`."""
    module, _, overrides = name.partition(":")
    found: Any = importlib.import_module(f"benchmarks.implementations.{module}")
    return found, overrides.split(",") if overrides else []
