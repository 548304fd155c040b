"""One mini-batch: the optimiser step in training, and the counting of loss and errors there and in evaluation.

Nothing here waits for the device, nor depends on the values that it holds, so that a CUDA graph can record all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lab.config import OptimConfig

Forward = Callable[[Tensor], Tensor]  # images (B, C, H, W) → logits (B, K)


class Totals:
    """Loss and errors summed on the device, so that nothing waits for it until an epoch ends."""

    def __init__(self, device: torch.device) -> None:
        self.loss, self.wrong, self.count = (torch.zeros((), dtype=torch.float64, device=device) for _ in range(3))

    def reset(self) -> None:
        """Begin anew, in the same memory."""
        for total in (self.loss, self.wrong, self.count):
            total.zero_()

    def add(self, loss: Tensor, logits_BK: Tensor, labels_B: Tensor) -> None:
        """Add a mini-batch with its mean loss."""
        self.loss += loss.detach() * len(labels_B)
        self.wrong += (logits_BK.detach().argmax(dim=1) != labels_B).sum()
        self.count += len(labels_B)

    def means(self) -> tuple[float, float]:
        """The mean loss and the error in percent so far; waits for the device."""
        loss, wrong, count = torch.stack([self.loss, self.wrong, self.count]).tolist()
        return loss / count, 100 * wrong / count


class TrainingStep:
    """Forward, loss, backward, clipping and update for one mini-batch; `totals` counts what was seen before the update.

    `forward` computes mini-batches of the full size, `net` itself the smaller ones, for which nothing is compiled.
    """

    def __init__(
        self, net: nn.Module, forward: Forward, optimizer: torch.optim.Optimizer, optim: OptimConfig, totals: Totals
    ) -> None:
        self.net, self.forward, self.optimizer, self.optim, self.totals = net, forward, optimizer, optim, totals

    def __call__(self, images_BCHW: Tensor, labels_B: Tensor) -> None:
        """Images (B, C, H, W), labels (B,)."""
        optim = self.optim
        with fresh_casts(images_BCHW.device):
            logits_BK = (self.forward if len(labels_B) == optim.batch_size else self.net)(images_BCHW)
            loss = F.cross_entropy(logits_BK, labels_B, label_smoothing=optim.label_smoothing)
        self.optimizer.zero_grad()
        loss.backward()
        if optim.clip_norm:
            nn.utils.clip_grad_norm_(self.net.parameters(), optim.clip_norm)
        self.optimizer.step()
        self.totals.add(loss, logits_BK, labels_B)


class EvaluationStep:
    """Forward and counting for one batch; label smoothing belongs to training alone."""

    def __init__(self, net: nn.Module, totals: Totals) -> None:
        self.net, self.totals = net, totals

    def __call__(self, images_BCHW: Tensor, labels_B: Tensor) -> None:
        """Images (B, C, H, W), labels (B,)."""
        with fresh_casts(images_BCHW.device):
            logits_BK = self.net(images_BCHW)
            self.totals.add(F.cross_entropy(logits_BK, labels_B), logits_BK, labels_B)


def fresh_casts(device: torch.device) -> AbstractContextManager[object]:
    """Within autocast, cast every weight where it is used, and keep no copy of it.

    Autocast keeps its bf16 copies until the outermost context ends, which Lightning opens once a call: the second
    mini-batch of a call would compute with the weights from before the first one's update.
    """
    if not torch.is_autocast_enabled(device.type):
        return nullcontext()
    dtype = torch.get_autocast_dtype(device.type)
    return torch.autocast(device.type, dtype=dtype, cache_enabled=False)
