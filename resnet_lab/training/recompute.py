"""Activation checkpointing (arXiv:1604.06174): keep what parts of a network are given, and compute the rest again."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from types import MethodType
from typing import Any, assert_never

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from resnet_lab.config.enums import Recompute
from resnet_lab.model.modules import BatchNorm
from resnet_lab.model.stacks import Stack


def recompute(net: nn.Module, which: Recompute) -> None:
    """Let the stacks or the units of a network compute their feature maps again in the backward pass.

    Gradients stay the same, bit for bit: random numbers are repeated, and running statistics are updated once. That
    holds for training steps; other code has to let BatchNorm count its mini-batches as they do.
    """
    stacks = [module for module in net.modules() if isinstance(module, Stack)]
    match which:
        case Recompute.none:
            return
        case Recompute.stack:
            parts: list[nn.Module] = [*stacks]
        case Recompute.unit:
            parts = [unit for stack in stacks for unit in stack.units]
        case _:
            assert_never(which)
    for part in parts:
        part.forward = MethodType(_recomputed, part)  # a copy has its own


def _recomputed(part: Any, x_BCHW: Tensor) -> Tensor:
    """Compute a part as its class does; if there will be a backward pass, keep nothing but its input."""
    forward = partial(type(part).forward, part)
    if not torch.is_grad_enabled():
        return forward(x_BCHW)
    out_BCHW: Tensor = checkpoint(forward, x_BCHW, use_reentrant=False, context_fn=_contexts)
    return out_BCHW


def _contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return the contexts of the first and of the second computation."""
    return nullcontext(), _statistics_kept()


@contextmanager
def _statistics_kept() -> Iterator[None]:
    BatchNorm.updates = False
    try:
        yield
    finally:
        BatchNorm.updates = True
