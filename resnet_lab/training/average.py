"""The exponential moving average (EMA) of a network's weights, which often predicts better than the last weights."""

import copy
from typing import Self

import torch
from torch import Tensor, nn

from resnet_lab.config.optim import OptimConfig


class Average(nn.Module):
    """A copy of a network whose parameters and buffers average those of the network over its steps.

    A step keeps the share `decay` of the average, at most (1 + t) / (10 + t) after t steps, so that the initial weights
    are soon forgotten. Whole numbers, such as BatchNorm's counters, are copied.
    """

    steps: Tensor  # taken so far

    def __init__(self, net: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.net = copy.deepcopy(net).requires_grad_(False)
        self.steps = nn.Buffer(torch.zeros((), dtype=torch.float64))

    @classmethod
    def of(cls, net: nn.Module, optim: OptimConfig) -> Self | None:
        """Return the average that `optim` asks for, from the current weights on; None if it asks for none."""
        return cls(net, optim.ema) if optim.ema else None

    def follow(self, net: nn.Module) -> None:
        """Average this network from now on. Tensors of both must stay where they are, on one device."""
        pairs = list(zip(_tensors(self.net), _tensors(net), strict=True))
        self.averages = [own for own, _ in pairs if own.is_floating_point()]
        self.sources = [other for _, other in pairs if other.is_floating_point()]
        self.copies = [own for own, _ in pairs if not own.is_floating_point()]
        self.originals = [other for _, other in pairs if not other.is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights of one more step into the average, without waiting for the device."""
        self.steps += 1
        kept = ((1 + self.steps) / (10 + self.steps)).clamp(max=self.decay)
        changes = torch._foreach_sub(self.sources, self.averages)
        torch._foreach_mul_(changes, (1 - kept).to(changes[0].dtype))
        torch._foreach_add_(self.averages, changes)
        if self.copies:
            torch._foreach_copy_(self.copies, self.originals)


def _tensors(net: nn.Module) -> list[Tensor]:
    return [*net.parameters(), *net.buffers()]
