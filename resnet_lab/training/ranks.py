"""Several processes that train one network, each on its part of every mini-batch: its ranks.

All ranks draw the same order and augmentations, and take the same steps. The first one alone writes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributed as dist


@dataclass(frozen=True, slots=True)
class Ranks:
    """How many processes there are, which of them this one is, and its number on this machine."""

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    @property
    def part(self) -> slice:
        """Which images of a mini-batch are this rank's, and so of any number of whole mini-batches in a row."""
        return slice(self.rank, None, self.size)

    @property
    def gpu(self) -> int:
        """The number of this rank's GPU; a task of a cluster may see its own GPU alone."""
        return self.local % torch.cuda.device_count()

    def most(self, count: int) -> int:
        """Return how many of `count` images a rank has at most: the first one has them."""
        return math.ceil(count / self.size)

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor], weight: float) -> None:
        """Replace tensors by their sums over several ranks, divided by the sum of the weights, in one message."""
        flat = torch.cat([*(tensor.reshape(-1) for tensor in tensors), tensors[0].new_full((1,), weight)])
        dist.all_reduce(flat)
        _unpack(flat[:-1] / flat[-1], tensors)

    def sum(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over all ranks."""
        if self.size > 1:
            dist.all_reduce(tensor)

    @torch.no_grad()
    def take_from_first(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by those of the first rank, in one message for each dtype."""
        if self.size == 1:
            return
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            own = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.reshape(-1) for tensor in own])
            dist.broadcast(flat, src=0)
            _unpack(flat, own)


ALONE = Ranks()


def _unpack(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))
