"""How well a network predicts attributes: errors, calibration, which attributes occur together."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from resnet_lab.inspect.mistakes import Mistakes, logits_of
from resnet_lab.model.resnet import ResNetV2


@dataclass(frozen=True, slots=True)
class AttributeMistakes:
    """How a network predicts K attributes of N images."""

    labels: np.ndarray  # (N, K), 0 or 1
    probabilities: np.ndarray  # (N, K)
    each: Mistakes  # all N·K yes-or-no decisions, image by image; their confidence is that of the predicted value

    @classmethod
    def of(cls, probabilities_NK: Tensor, labels_NK: Tensor) -> Self:
        yes = probabilities_NK.flatten()
        each = Mistakes.of(torch.stack([1 - yes, yes], dim=1), labels_NK.flatten().long())
        return cls(labels_NK.cpu().numpy(), probabilities_NK.cpu().numpy(), each)

    @property
    def predicted(self) -> np.ndarray:
        """Which attributes are more probable than not (N, K)."""
        return self.probabilities > 0.5

    @property
    def errors(self) -> np.ndarray:
        """The error of each attribute (K,), in percent."""
        return 100 * (self.predicted != self.labels).mean(axis=0)

    def most_confident(self, attribute: int) -> np.ndarray:
        """Return the images whose attribute is predicted wrongly, the most confident mistake first."""
        confidence = np.abs(self.probabilities[:, attribute] - 0.5)
        order = np.argsort(-confidence, kind="stable")
        return order[self.predicted[order, attribute] != self.labels[order, attribute]]


def attribute_mistakes(net: ResNetV2, images_NCHW: Tensor, labels_NK: Tensor) -> AttributeMistakes:
    """Predict the attributes of images, and compare them with the labels."""
    return AttributeMistakes.of(logits_of(net, images_NCHW).sigmoid(), labels_NK)


def correlations(values_NK: np.ndarray) -> np.ndarray:
    """Return the correlation of each pair of attributes (K, K); NaN for one that all images have, or none."""
    with np.errstate(invalid="ignore"):
        return np.atleast_2d(np.corrcoef(values_NK, rowvar=False))
