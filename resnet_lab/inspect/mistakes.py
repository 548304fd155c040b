"""Mistakes: confusion matrix, most confident mistakes, calibration."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix
from torch import Tensor

from resnet_lab.inspect.maps import CHUNK
from resnet_lab.inspect.replica import replica
from resnet_lab.model.resnet import ResNetV2

NUM_BINS = 15  # as in arXiv:1706.04599


@dataclass(frozen=True, slots=True)
class Mistakes:
    """How a network classifies N images of K classes; confidence is the largest softmax output."""

    labels: np.ndarray  # (N,)
    predicted: np.ndarray  # (N,)
    confidence: np.ndarray  # (N,)
    confusion: np.ndarray  # (K, K) counts; rows are true classes, columns predicted classes
    accuracy_by_confidence: np.ndarray  # (non-empty bins, 2): mean confidence, accuracy in 0…1
    calibration_error: float  # ECE: mean difference of the two, weighted by the images in each bin; 0 to 1

    @classmethod
    def of(cls, probabilities_NK: Tensor, labels_N: Tensor) -> Self:
        """Compare the probabilities of the classes with the labels."""
        from torchmetrics.functional.classification import binary_calibration_error  # takes seconds, which few need

        confidence_N, predicted_N = probabilities_NK.max(dim=1)
        right_N = predicted_N == labels_N
        error = binary_calibration_error(confidence_N.clamp(0, 1), right_N.int(), n_bins=NUM_BINS, norm="l1")
        labels, predicted, confidence = labels_N.cpu().numpy(), predicted_N.cpu().numpy(), confidence_N.cpu().numpy()
        right_share, mean_confidence = calibration_curve(right_N.cpu().numpy(), confidence.clip(0, 1), n_bins=NUM_BINS)
        return cls(
            labels,
            predicted,
            confidence,
            confusion_matrix(labels, predicted, labels=np.arange(probabilities_NK.shape[1])),
            np.stack([mean_confidence, right_share], axis=1),
            float(error),
        )

    @property
    def error_by_class(self) -> np.ndarray:
        """In percent (K,); NaN for a class without images."""
        count = self.confusion.sum(axis=1)
        right = np.diag(self.confusion)
        return np.divide(100.0 * (count - right), count, out=np.full(len(count), np.nan), where=count > 0)

    @property
    def most_confident(self) -> np.ndarray:
        """The indices of the misclassified images, the most confident first."""
        order = np.argsort(-self.confidence, kind="stable")
        return order[self.predicted[order] != self.labels[order]]


def mistakes(net: ResNetV2, images_NCHW: Tensor, labels_N: Tensor) -> Mistakes:
    """Classify images and compare the predictions with the labels."""
    return Mistakes.of(logits_of(net, images_NCHW).softmax(dim=1), labels_N)


def logits_of(net: ResNetV2, images_NCHW: Tensor) -> Tensor:
    """Return the network's logits for any number of images (N, K), in eval mode."""
    other = replica(net)
    with torch.no_grad():
        return torch.cat([other(chunk) for chunk in images_NCHW.split(CHUNK)])
