"""Attributes: yes or no for each of several properties of an image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.tasks.base import Task


class Attributes(Task):
    """Binary cross-entropy of the logits (B, K), and the percentage of wrong attributes.

    Targets (B, K) are 0 or 1, or probabilities if images are mixed; the more probable value then counts.
    """

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
        """Return the mean over images and attributes; `weights` (K,) are those of the images with the attribute.

        With `smoothing`, yes and no each get half of it, as in the cross-entropy of two classes.
        """
        probabilities_BK = (1 - smoothing) * targets.to(outputs.dtype) + smoothing / 2
        weights = None if weights is None else weights.to(outputs.dtype)
        return F.binary_cross_entropy_with_logits(outputs, probabilities_BK, pos_weight=weights)

    def penalty(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the share of each image's attributes that is wrong, summed."""
        return (self.predictions(outputs) != _is_on(targets)).double().mean(dim=1).sum()

    def score(self, penalty: float, count: float) -> float:
        return 100 * penalty / count

    def details(self) -> "AttributeDetails":
        return AttributeDetails()

    def per_image(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        probabilities = self.final(outputs.float())
        return {"label": _is_on(targets), "predicted": self.predictions(outputs), "probabilities": probabilities}

    def final(self, outputs: Tensor) -> Tensor:
        """Return the probability of each attribute (B, K)."""
        return outputs.sigmoid()

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return which attributes are more probable than not (B, K), uint8."""
        return _is_on(outputs, threshold=0)

    def words(self, label: Tensor, classes: Sequence[str]) -> str:
        return ", ".join(name for name, is_on in zip(classes, label.tolist(), strict=True) if is_on) or "none"

    def by_class(self, labels: np.ndarray, classes: Sequence[str]) -> dict[str, np.ndarray]:
        return by_attribute(labels, classes)


class AttributeDetails:
    """Scores of the attributes, in percent, from all outputs of a test.

    `majority_error` is the error of always predicting what is more frequent among the tested images. `balanced_error`
    is the mean of the rates of false positives and of false negatives, and `average_precision` that of
    `sklearn.metrics.average_precision_score`; both leave out attributes that all images have, or none.
    """

    def __init__(self) -> None:
        self.outputs: list[Tensor] = []
        self.targets: list[Tensor] = []

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        self.outputs.append(outputs)
        self.targets.append(_is_on(targets))

    def scores(self, classes: Sequence[str]) -> dict[str, Any]:
        from torchmetrics.functional.classification import binary_average_precision  # takes seconds, which few need

        logits_NK, is_on_NK = torch.cat(self.outputs).cpu().double(), torch.cat(self.targets).cpu()
        wrong_NK, is_on = (_is_on(logits_NK, 0) != is_on_NK).numpy(), is_on_NK.numpy()
        share_K, count_K = is_on.mean(axis=0), is_on.sum(axis=0, dtype=int)
        errors = dict(zip(classes, (100 * wrong_NK.mean(axis=0)).tolist(), strict=True))
        found: dict[str, Any] = {"majority_error": 100 * float(np.minimum(share_K, 1 - share_K).mean())}
        if len(varied := np.flatnonzero((count_K > 0) & (count_K < len(is_on)))):
            missed_K, alarms_K = (wrong_NK & (is_on == value) for value in (1, 0))
            rates = [missed_K.sum(axis=0) / count_K.clip(1), alarms_K.sum(axis=0) / (len(is_on) - count_K).clip(1)]
            found["balanced_error"] = 100 * float(np.mean(rates, axis=0)[varied].mean())
            precisions = [binary_average_precision(logits_NK[:, k].sigmoid(), is_on_NK[:, k].long()) for k in varied]
            found["average_precision"] = 100 * float(torch.stack(precisions).mean())
        return found | {"attribute_errors": errors}


def by_attribute(labels_NK: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the indices of the images with each attribute that occurs."""
    return {name: np.flatnonzero(is_on) for name, is_on in zip(names, labels_NK.T, strict=True) if is_on.any()}


def _is_on(values: Tensor, threshold: float = 0.5) -> Tensor:
    """Return 1 where labels, probabilities or, with threshold 0, logits say yes, else 0 (uint8)."""
    return (values > threshold).to(torch.uint8)
