import numpy as np
import pytest
import torch
from support.scene import Run
from torchmetrics.functional.classification import multiclass_calibration_error, multiclass_confusion_matrix

from resnet_lab.inspect.mistakes import NUM_BINS, mistakes


def test_counts_are_those_of_torchmetrics(trained: Run):
    found = mistakes(trained.net, trained.images, trained.labels)
    with torch.no_grad():
        logits = trained.net(trained.images)
    confusion = multiclass_confusion_matrix(logits, trained.labels, num_classes=10)
    np.testing.assert_array_equal(found.confusion, confusion.numpy())
    calibration = multiclass_calibration_error(logits.softmax(1), trained.labels, num_classes=10, n_bins=NUM_BINS)
    assert found.calibration_error == pytest.approx(float(calibration), abs=1e-6)
    right = logits.argmax(1) == trained.labels
    for label in range(10):
        own = right[trained.labels == label]
        assert found.error_by_class[label] == pytest.approx(100 * (1 - own.float().mean().item()), abs=1e-4)


def test_the_diagram_and_the_calibration_error_agree(trained: Run):
    wrong_labels = (trained.labels + (torch.arange(len(trained.labels)) % 3 == 0)) % 10  # a third is made wrong
    found = mistakes(trained.net, trained.images, wrong_labels)
    inside = np.histogram(found.confidence, np.linspace(0, 1 + 1e-8, NUM_BINS + 1))[0]
    counts = inside[inside > 0]
    gaps = np.abs(found.accuracy_by_confidence[:, 0] - found.accuracy_by_confidence[:, 1])
    assert (gaps * counts).sum() / counts.sum() == pytest.approx(found.calibration_error, abs=1e-4)
    assert found.calibration_error > 0.25


def test_most_confident_mistakes_come_first(trained: Run):
    wrong_labels = (trained.labels + (torch.arange(len(trained.labels)) % 5 == 0)) % 10
    found = mistakes(trained.net, trained.images, wrong_labels)
    assert (found.predicted[found.most_confident] != found.labels[found.most_confident]).all()
    assert (np.diff(found.confidence[found.most_confident]) <= 0).all()
    assert len(found.most_confident) == found.confusion.sum() - np.trace(found.confusion)


def test_a_class_without_images_has_no_error(trained: Run):
    few = trained.labels < 3
    found = mistakes(trained.net, trained.images[few], trained.labels[few])
    assert found.confusion.shape == (10, 10)
    assert np.isnan(found.error_by_class[3:]).all()
    assert np.isfinite(found.error_by_class[:3]).all()
