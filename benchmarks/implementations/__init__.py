"""Implementations of one training, each in a file of its own: `train(task, observer)` returns what came out."""

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from benchmarks.task import Task


class Observer:
    """What an implementation calls while it trains; this one looks away."""

    def epoch_begins(self) -> None:
        """The first mini-batch of an epoch is at hand, or sooner."""

    def step(self, images_BCHW: Tensor, labels_B: Tensor, loss: Tensor) -> None:
        """A mini-batch was trained on, with this loss before its update."""

    def epoch_ends(self) -> None:
        """The last step of an epoch was given to the device."""


class Stopwatch(Observer):
    """Seconds of every epoch, until the device has done all of it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: list[float] = []

    def epoch_begins(self) -> None:
        """Start."""
        self.start = time.perf_counter()

    def epoch_ends(self) -> None:
        """Stop."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - self.start)


@dataclass(frozen=True)
class Trained:
    """What an implementation ends with; `seconds` of every epoch where it takes the time itself, as the lab does."""

    weights: dict[str, Tensor]  # BatchNorm's statistics too
    momentum: list[Tensor]  # in the order of the parameters
    lr: float  # of the last step
    steps: int
    seconds: list[float] | None = None

    @classmethod
    def of(cls, net: nn.Module, optimizer: torch.optim.Optimizer, lr: float, steps: int) -> Self:
        """From the network and its optimiser."""
        [group] = optimizer.param_groups
        momentum = [optimizer.state[parameter]["momentum_buffer"] for parameter in group["params"]]
        return cls(net.state_dict(), momentum, lr, steps)


class Implementation(Protocol):
    """A module of this package."""

    train: Callable[[Task, Observer], Trained]


def implementation(name: str) -> tuple[Implementation, list[str]]:
    """The module of an implementation and overrides for it, from words such as `lab:trainer.compile=inductor`."""
    module, _, overrides = name.partition(":")
    found: Any = importlib.import_module(f"benchmarks.implementations.{module}")
    return found, overrides.split(",") if overrides else []
