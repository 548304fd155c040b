"""One mini-batch: the optimiser step in training; sums of loss and penalty in training and evaluation.

Steps neither wait for the device nor branch on values stored there, so a CUDA graph can record them.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from resnet_lab.config.optim import OptimConfig
from resnet_lab.tasks.base import Task

Forward = Callable[[Tensor], Tensor]  # images (B, C, H, W) → outputs (B, …)


class Totals:
    """Sums of loss and penalty on the device, so that nothing waits for it until an epoch ends."""

    def __init__(self, task: Task, device: torch.device, detailed: bool = False) -> None:
        self.task, self.detailed = task, detailed
        self.counts: Tensor | None = None  # of the task, if `detailed`
        self.loss, self.penalty, self.count = (torch.zeros((), dtype=torch.float64, device=device) for _ in range(3))

    def reset(self) -> None:
        for total in (self.loss, self.penalty, self.count):
            total.zero_()

    def add(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> None:
        self.loss += loss.detach() * len(targets)
        self.penalty += self.task.penalty(outputs.detach(), targets)
        self.count += len(targets)
        if self.detailed and (counts := self.task.counts(outputs.detach(), targets)) is not None:
            self.counts = counts if self.counts is None else self.counts + counts

    def means(self) -> tuple[float, float]:
        """Return the mean loss and the score so far; wait for the device."""
        loss, penalty, count = torch.stack([self.loss, self.penalty, self.count]).tolist()
        return loss / count, self.task.score(penalty, count)


class TrainingStep:
    """Forward, loss, backward, clipping and update for one mini-batch; `totals` sums loss and penalty before it.

    `forward` computes full mini-batches; `net` itself computes smaller ones, for which nothing is compiled.
    """

    def __init__(
        self,
        net: nn.Module,
        forward: Forward,
        optimizer: torch.optim.Optimizer,
        optim: OptimConfig,
        totals: Totals,
        class_weights: Tensor | None = None,
    ) -> None:
        self.net, self.forward, self.optimizer, self.optim, self.totals = net, forward, optimizer, optim, totals
        self.weights = {} if class_weights is None else {"weights": class_weights}  # own tasks may not take them

    def __call__(self, images_BCHW: Tensor, labels: Tensor) -> None:
        optim, task = self.optim, self.totals.task
        with fresh_casts(images_BCHW.device):
            outputs = (self.forward if len(labels) == optim.batch_size else self.net)(images_BCHW)
            targets = task.targets(images_BCHW, labels)
            loss = task.loss(outputs, targets, optim.label_smoothing, **self.weights)
        self.optimizer.zero_grad()
        loss.backward()
        if optim.clip_norm:
            nn.utils.clip_grad_norm_(self.net.parameters(), optim.clip_norm)
        self.optimizer.step()
        self.totals.add(loss, outputs, targets)


class EvaluationStep:
    """Forward and sums for one batch, without label smoothing."""

    def __init__(self, net: nn.Module, totals: Totals) -> None:
        self.net, self.totals = net, totals

    def __call__(self, images_BCHW: Tensor, labels: Tensor) -> None:
        task = self.totals.task
        with fresh_casts(images_BCHW.device):
            outputs, targets = self.net(images_BCHW), task.targets(images_BCHW, labels)
            self.totals.add(task.loss(outputs, targets), outputs, targets)


def fresh_casts(device: torch.device) -> AbstractContextManager[object]:
    """Return a context that, within autocast, casts every weight on use and caches no copy.

    Autocast caches its bf16 copies until the outermost context ends, which Lightning opens once per call: the second
    mini-batch of a call would use the weights from before the first update.
    """
    if not torch.is_autocast_enabled(device.type):
        return nullcontext()
    dtype = torch.get_autocast_dtype(device.type)
    return torch.autocast(device.type, dtype=dtype, cache_enabled=False)
