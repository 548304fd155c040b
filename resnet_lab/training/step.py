"""One mini-batch: the optimiser step in training, and the counting of loss and penalty there and in evaluation.

Nothing here waits for the device, nor depends on the values that it holds, so that a CUDA graph can record all of it.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from resnet_lab.config.optim import OptimConfig
from resnet_lab.tasks.base import Task

Forward = Callable[[Tensor], Tensor]  # images (B, C, H, W) → outputs (B, …)


class Totals:
    """Loss and penalty summed on the device, so that nothing waits for it until an epoch ends."""

    def __init__(self, task: Task, device: torch.device) -> None:
        self.task = task
        self.loss, self.penalty, self.count = (torch.zeros((), dtype=torch.float64, device=device) for _ in range(3))

    def reset(self) -> None:
        for total in (self.loss, self.penalty, self.count):
            total.zero_()

    def add(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> None:
        self.loss += loss.detach() * len(targets)
        self.penalty += self.task.penalty(outputs.detach(), targets)
        self.count += len(targets)

    def means(self) -> tuple[float, float]:
        """The mean loss and the score so far; waits for the device."""
        loss, penalty, count = torch.stack([self.loss, self.penalty, self.count]).tolist()
        return loss / count, self.task.score(penalty, count)


class TrainingStep:
    """Forward, loss, backward, clipping and update for one mini-batch; `totals` counts what was seen before the update.

    `forward` computes mini-batches of the full size, `net` itself the smaller ones, for which nothing is compiled.
    """

    def __init__(
        self, net: nn.Module, forward: Forward, optimizer: torch.optim.Optimizer, optim: OptimConfig, totals: Totals
    ) -> None:
        self.net, self.forward, self.optimizer, self.optim, self.totals = net, forward, optimizer, optim, totals

    def __call__(self, images_BCHW: Tensor, labels: Tensor) -> None:
        optim, task = self.optim, self.totals.task
        with fresh_casts(images_BCHW.device):
            outputs = (self.forward if len(labels) == optim.batch_size else self.net)(images_BCHW)
            targets = task.targets(images_BCHW, labels)
            loss = task.loss(outputs, targets, optim.label_smoothing)
        self.optimizer.zero_grad()
        loss.backward()
        if optim.clip_norm:
            nn.utils.clip_grad_norm_(self.net.parameters(), optim.clip_norm)
        self.optimizer.step()
        self.totals.add(loss, outputs, targets)


class EvaluationStep:
    """Forward and counting for one batch; label smoothing belongs to training alone."""

    def __init__(self, net: nn.Module, totals: Totals) -> None:
        self.net, self.totals = net, totals

    def __call__(self, images_BCHW: Tensor, labels: Tensor) -> None:
        task = self.totals.task
        with fresh_casts(images_BCHW.device):
            outputs, targets = self.net(images_BCHW), task.targets(images_BCHW, labels)
            self.totals.add(task.loss(outputs, targets), outputs, targets)


def fresh_casts(device: torch.device) -> AbstractContextManager[object]:
    """Within autocast, cast every weight where it is used, and keep no copy of it.

    Autocast keeps its bf16 copies until the outermost context ends, which Lightning opens once a call: the second
    mini-batch of a call would compute with the weights from before the first one's update.
    """
    if not torch.is_autocast_enabled(device.type):
        return nullcontext()
    dtype = torch.get_autocast_dtype(device.type)
    return torch.autocast(device.type, dtype=dtype, cache_enabled=False)
