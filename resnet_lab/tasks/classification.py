"""Classification: one class per image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.tasks.base import Task

MANY = 100  # classes, from which on papers report the top-5 error


class Classification(Task):
    """Cross-entropy of the logits (B, K), and the percentage of misclassified images.

    Targets are classes (B,), or probabilities (B, K) if images are mixed; the most probable class then counts.
    """

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
        weights = None if weights is None else weights.to(outputs.dtype)
        return F.cross_entropy(outputs, targets, weights, label_smoothing=smoothing)

    def penalty(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(dim=1) != _classes(targets)).sum()

    def details(self) -> "ClassDetails":
        return ClassDetails()

    def score(self, penalty: float, count: float) -> float:
        return 100 * penalty / count

    def per_image(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        probabilities = self.final(outputs.float())
        return {"label": _classes(targets), "predicted": self.predictions(outputs), "probabilities": probabilities}

    def final(self, outputs: Tensor) -> Tensor:
        """Return the probability of each class (B, K)."""
        return outputs.softmax(dim=1)

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the most probable class (B,)."""
        return outputs.argmax(dim=1)


class ClassDetails:
    """The mean of the classes' errors, the error of each class and, from 100 classes on, the top-5 error."""

    def __init__(self) -> None:
        # For each class the number of images, of mistakes, and of images whose class is not among the first five.
        self.counts_3K: Tensor | int = 0

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        classes_B = _classes(targets)
        is_wrong_B = outputs.argmax(dim=1) != classes_B
        first_B5 = outputs.topk(min(5, outputs.shape[1]), dim=1).indices
        is_missed_B = (first_B5 != classes_B[:, None]).all(dim=1)
        counts = [classes_B[rows].bincount(minlength=outputs.shape[1]) for rows in (..., is_wrong_B, is_missed_B)]
        self.counts_3K = self.counts_3K + torch.stack(counts)

    def scores(self, classes: Sequence[str]) -> dict[str, Any]:
        assert isinstance(self.counts_3K, Tensor)
        images, mistakes, missed = self.counts_3K.cpu().numpy()
        errors = {name: 100 * wrong / of for name, wrong, of in zip(classes, mistakes, images, strict=True) if of}
        found = {"balanced_error": float(np.mean([*errors.values()])), "class_errors": errors}
        return found | ({"top5_error": 100 * missed.sum() / images.sum()} if len(classes) >= MANY else {})


def _classes(targets: Tensor) -> Tensor:
    """Return classes (B,), the most probable ones if targets are probabilities (B, K)."""
    return targets.argmax(dim=1) if targets.ndim > 1 else targets
