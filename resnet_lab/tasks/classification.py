"""Classification: one class per image."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.tasks.base import Task


class Classification(Task):
    """Cross-entropy of the logits (B, K), and the percentage of misclassified images.

    Targets are classes (B,), or probabilities (B, K) if images are mixed; the most probable class then counts.
    """

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        return F.cross_entropy(outputs, targets, label_smoothing=smoothing)

    def penalty(self, outputs: Tensor, targets: Tensor) -> Tensor:
        classes_B = targets.argmax(dim=1) if targets.ndim > 1 else targets
        return (outputs.argmax(dim=1) != classes_B).sum()

    def score(self, penalty: float, count: float) -> float:
        return 100 * penalty / count

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the most probable class (B,)."""
        return outputs.argmax(dim=1)

    def words(self, label: Tensor, classes: Sequence[str]) -> str:
        return classes[int(label)]

    def by_class(self, labels: np.ndarray, classes: Sequence[str]) -> dict[str, np.ndarray]:
        return {classes[label]: np.flatnonzero(labels == label) for label in np.unique(labels)}
