"""The computation for one mini-batch: an optimiser step in training, and sums of loss and penalty.

Steps neither wait for the device nor branch on values stored there, so a CUDA graph can record them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from resnet_lab.config.optim import OptimConfig
from resnet_lab.model.modules import BatchNorm
from resnet_lab.tasks.base import Task
from resnet_lab.training.average import Average
from resnet_lab.training.ranks import ALONE, Ranks

CAST = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)  # layers whose weights autocast casts

Forward = Callable[[Tensor], Tensor]  # images (B, C, H, W) → outputs (B, …)


class Totals:
    """Sums of loss and penalty (see `Task.penalty`), on the device, so that nothing waits for it within an epoch."""

    def __init__(self, task: Task, device: torch.device) -> None:
        self.task = task
        self.loss, self.penalty, self.count = (torch.zeros((), dtype=torch.float64, device=device) for _ in range(3))

    def reset(self) -> None:
        for total in self.state():
            total.zero_()

    def add(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> None:
        self.loss += loss.detach() * len(targets)
        self.penalty += self.task.penalty(outputs.detach(), targets)
        self.count += len(targets)

    def state(self) -> tuple[Tensor, ...]:
        return self.loss, self.penalty, self.count

    def means(self, ranks: Ranks = ALONE) -> tuple[float, float]:
        """Return the mean loss and the score so far, of this process or of several ranks; wait for the device."""
        totals = torch.stack(self.state())
        ranks.sum(totals)
        loss, penalty, count = totals.tolist()
        return loss / count, self.task.score(penalty, count)


class TrainingStep:
    """Forward, loss, backward, clipping and update for one mini-batch; loss and penalty are added to `totals`.

    With `optim.accumulate`, forward, loss and backward are those of one part of it after the other. The new weights are
    taken into the `average`, if there is one. If `compiled` is given, it computes full parts. A smaller one is not
    compiled: `net` itself computes it.

    One of several `ranks` is given its images of the mini-batch; all get the gradient of the whole.
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        optim: OptimConfig,
        totals: Totals,
        class_weights: Tensor | None = None,
        compiled: Forward | None = None,
        average: Average | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.net, self.optimizer, self.optim, self.totals, self.ranks = net, optimizer, optim, totals, ranks
        self.part_size = ranks.most(optim.part_size)
        self.forward, self.compiled, self.average = OneCast(net), compiled, average
        if average:
            average.follow(net)
        # Passed only if there are any: a user's task may not accept `weights`.
        self.weights = {} if class_weights is None else {"weights": class_weights}
        norms = [module for module in net.modules() if isinstance(module, BatchNorm)]
        for norm in norms:
            norm.counts = False  # __call__ counts for all layers at once
        trained = [norm for norm in norms if norm.weight.requires_grad]  # others are frozen, and so are their counters
        self.counters = [norm.num_batches_tracked for norm in trained if norm.num_batches_tracked is not None]

    def __call__(self, images_BCHW: Tensor, labels: Tensor) -> None:
        parts = [*zip(images_BCHW.split(self.part_size), labels.split(self.part_size), strict=True)]
        alone = self.ranks.size == 1
        # The ranks may have different numbers of images of the last mini-batch, but all divide by the same.
        whole = len(labels) if alone else self.ranks.most(self.optim.batch_size)
        self.optimizer.zero_grad()
        for part in parts:
            self._add_gradient(*part, share=len(part[1]) / whole)
        if not alone:
            gradients = [weight.grad for weight in self.net.parameters() if weight.grad is not None]
            self.ranks.average(gradients, len(labels) / whole)
        if self.optim.clip_norm:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.optim.clip_norm)
        self.optimizer.step()
        if self.counters:
            torch._foreach_add_(self.counters, len(parts))
        if self.average:
            self.average.update()

    def _add_gradient(self, images_BCHW: Tensor, labels: Tensor, share: float) -> None:
        """Add the gradient of a part's mean loss times the part's share of the mini-batch, and its loss and penalty."""
        optim, task = self.optim, self.totals.task
        compiled = self.compiled if len(labels) == self.part_size else None
        forward = self.forward if compiled is None else compiled
        with fresh_casts(images_BCHW.device):
            outputs = forward(images_BCHW)
            targets = task.targets(images_BCHW, labels)
            loss = task.loss(outputs, targets, optim.label_smoothing, **self.weights)
        (loss if share == 1 else loss * share).backward()
        self.totals.add(loss, outputs, targets)

    def state(self) -> Iterator[Tensor]:
        """Yield every tensor that a step changes, apart from gradients."""
        yield from self.net.parameters()
        yield from self.net.buffers()
        yield from self.totals.state()
        if self.average:
            yield from self.average.parameters()
            yield from self.average.buffers()
        for kept in self.optimizer.state.values():
            yield from (value for value in kept.values() if isinstance(value, Tensor))


class EvaluationStep:
    """Forward and sums for one batch, without label smoothing."""

    def __init__(self, net: nn.Module, totals: Totals) -> None:
        self.net, self.totals = net, totals

    def __call__(self, images_BCHW: Tensor, labels: Tensor) -> None:
        task = self.totals.task
        with fresh_casts(images_BCHW.device):
            outputs, targets = self.net(images_BCHW), task.targets(images_BCHW, labels)
            self.totals.add(task.loss(outputs, targets), outputs, targets)

    def state(self) -> tuple[Tensor, ...]:
        return self.totals.state()


def fresh_casts(device: torch.device) -> AbstractContextManager[object]:
    """Return a context that, within autocast, casts every weight on use and caches no copy.

    Autocast caches its bf16 copies until the outermost context ends, which Lightning opens once per call: the second
    mini-batch of a call would use the weights from before the first update.
    """
    if not torch.is_autocast_enabled(device.type):
        return nullcontext()
    dtype = torch.get_autocast_dtype(device.type)
    return torch.autocast(device.type, dtype=dtype, cache_enabled=False)


class OneCast:
    """A network whose weights are cast for autocast in one operation, and their gradients in another.

    Autocast itself launches two operations for each layer, which slows a GPU down. The results are the same if the
    network uses each weight once; if it uses one several times, its gradients are summed in the lower precision.
    """

    def __init__(self, net: nn.Module) -> None:
        layers = [module for module in net.modules() if type(module) in CAST]
        cast = {id(parameter) for layer in layers for parameter in layer.parameters()}
        self.net = net
        # Frozen weights are left to autocast: no gradient of theirs is computed.
        trained = ((name, parameter) for name, parameter in net.named_parameters() if parameter.requires_grad)
        self.weights = {name: parameter for name, parameter in trained if id(parameter) in cast}

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        device = images_BCHW.device.type
        if not (self.weights and torch.is_autocast_enabled(device)):
            return self.net(images_BCHW)
        copies = _Cast.apply(torch.get_autocast_dtype(device), *self.weights.values())
        return functional_call(self.net, dict(zip(self.weights, copies, strict=True)), (images_BCHW,))


class _Cast(torch.autograd.Function):
    """Tensors in another dtype."""

    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.dtype = tensors[0].dtype
        ctx.set_materialize_grads(False)  # None instead of zeros: the optimiser skips a weight without a gradient
        return _cast(tensors, dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        present = [gradient for gradient in gradients if gradient is not None]
        cast = iter(_cast(present, ctx.dtype))
        return None, *(None if gradient is None else next(cast) for gradient in gradients)


def _cast(tensors: Sequence[Tensor], dtype: torch.dtype) -> tuple[Tensor, ...]:
    copies = [torch.empty_like(tensor, dtype=dtype) for tensor in tensors]
    torch._foreach_copy_(copies, list(tensors))
    return tuple(copies)
