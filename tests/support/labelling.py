"""Small tasks on attributes and on numbers, and one that needs no labels, to test data with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.config.enums import Labels
from resnet_lab.config.registry import TASKS
from resnet_lab.config.tasks import TaskInfo
from resnet_lab.tasks.base import Task

SEVERAL = TaskInfo(
    help="several attributes", score="wrong", unit="%", figures=(), labels=Labels.attributes, weighs=True
)  # fmt: skip


class OneOutput(TaskInfo):
    """One number for each image."""

    def num_outputs(self, data: Any) -> int:
        return 1


AMOUNT = OneOutput(help="an amount", score="mae", figures=(), labels=Labels.number)
UNLABELLED = OneOutput(help="brightness", score="mae", figures=())


class Several(Task):
    """Logits (B, K); the score is the percentage of wrong attributes."""

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs, targets.to(outputs.dtype), pos_weight=weights)

    def penalty(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return ((outputs > 0) != targets).float().mean(dim=1).sum()

    def score(self, penalty: float, count: float) -> float:
        return 100 * penalty / count

    def predictions(self, outputs: Tensor) -> Tensor:
        return (outputs > 0).float()


@contextmanager
def tasks() -> Iterator[None]:
    """Within, there are task=several, task=amount and task=unlabelled; the latter two cannot be trained."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TASKS, "_entries", dict(TASKS._entries))
        for name, info in (("several", SEVERAL), ("amount", AMOUNT), ("unlabelled", UNLABELLED)):
            TASKS.add(name, info, Several)
        yield
