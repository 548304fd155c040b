"""The bare loop with nothing wasted: as `roof`, but on a GPU one operation casts all weights, one all their gradients,
and one counts all mini-batches of BatchNorm.

The network holds bf16 weights, and the optimiser their float32 originals. It shares no code with the lab's engine.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.implementations import Observer, Trained
from benchmarks.implementations.roof import Step, looped
from benchmarks.task import Task


def train(task: Task, observer: Observer) -> Trained:
    step = Lean(task)
    return step.outcome(looped(task, observer, step, graphs=task.device.type == "cuda"))


class Lean(Step):
    """The step of `roof`, on a network whose convolutions and linear layers have weights in bf16."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        norms = [module for module in self.net.modules() if isinstance(module, nn.BatchNorm2d)]
        self.counters = [norm.num_batches_tracked for norm in norms if norm.num_batches_tracked is not None]
        self.state = {**self.net.state_dict(keep_vars=True)}
        for norm in norms:
            norm.num_batches_tracked = None
        self.originals: list[Tensor] = []
        self.copies: list[Tensor] = []
        for module in self.net.modules() if task.bf16 else ():
            if isinstance(module, nn.Conv2d | nn.Linear):
                for name, original in [*module.named_parameters(recurse=False)]:
                    copy = nn.Parameter(original.detach().bfloat16())
                    setattr(module, name, copy)
                    self.originals.append(original)
                    self.copies.append(copy)

    def __call__(self, draws_B4: Tensor) -> None:
        """Train on one mini-batch, given the row, corner and mirroring of each of its images."""
        row_B, top_B, left_B, flip_B = draws_B4.unbind(dim=1)
        self.images, self.labels = self.augmented(row_B, top_B, left_B, flip_B), self.labels_N[row_B]
        with torch.no_grad():
            if self.copies:
                torch._foreach_copy_(self.copies, self.originals)
        with self.autocast:
            self.loss = F.cross_entropy(self.net(self.images), self.labels)
        self.optimizer.zero_grad()
        for copy in self.copies:
            copy.grad = None
        self.loss.backward()
        if self.copies:
            halves = [copy.grad for copy in self.copies if copy.grad is not None]
            gradients = [torch.empty_like(half, dtype=torch.float32) for half in halves]
            torch._foreach_copy_(gradients, halves)
            for original, gradient in zip(self.originals, gradients, strict=True):
                original.grad = gradient
        self.optimizer.step()
        torch._foreach_add_(self.counters, 1)

    def outcome(self, last: tuple[float, int]) -> Trained:
        """Return the outcome, with the weights in float32."""
        [group] = self.optimizer.param_groups
        momentum = [self.optimizer.state[parameter]["momentum_buffer"] for parameter in group["params"]]
        return Trained(self.state, momentum, *last)
