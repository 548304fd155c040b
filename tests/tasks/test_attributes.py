"""Attributes against formulas in NumPy and scikit-learn, and what a run on real digits leaves behind."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import average_precision_score, balanced_accuracy_score
from support.composing import config as composed
from support.lab import TINY, FailsAt, Lab, events, same_weights, without_times
from torch.nn import functional as F

from resnet_lab import load_run
from resnet_lab.bench.measure import bare_seconds, trained
from resnet_lab.bench.range_test import range_test
from resnet_lab.config.checks import ConfigError
from resnet_lab.data.augment.mix import mixed_labels
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.split import drawn
from resnet_lab.interrupts import RunFailed
from resnet_lab.job import callbacks
from resnet_lab.rundir.predictions import read_predictions
from resnet_lab.tasks.base import task_of
from resnet_lab.training.step import Totals

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(50, 4)).astype(np.float32)
IS_ON = (RNG.random((50, 4)) < [0.2, 0.5, 0.7, 1.0]).astype(np.uint8)  # the last one has no image without it
FAKE = (*TINY, "task=attributes", "data.num_classes=4")
BITS = ("data=digit_bits", "task=attributes", "data.num_classes=6", "data.num_train=200", "data.validation=50")


class BitsLab(Lab):
    """Runs on digits with attributes."""

    def overrides(self, *changes: str) -> list[str]:
        ours = [word for word in super().overrides() if not word.startswith("data")]
        return [*ours, *BITS, *changes]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> BitsLab:
    lab = BitsLab(tmp_path_factory.mktemp("bits"))
    lab.run("diagnostics=full", callbacks=callbacks(lab.config("diagnostics=full")))
    return lab


def losses(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The binary cross-entropy of each attribute of each image, from probabilities."""
    p = expit(logits.astype(np.float64))
    return -(targets * np.log(p) + (1 - targets) * np.log(1 - p))


def test_the_loss_is_the_mean_binary_cross_entropy():
    task, outputs, targets = task_of(composed(*FAKE)), torch.from_numpy(LOGITS), torch.from_numpy(IS_ON)
    assert task.loss(outputs, targets).item() == pytest.approx(losses(LOGITS, IS_ON).mean(), rel=1e-6)
    weights = np.array([4.0, 1.0, 0.5, 2.0])
    weighed = losses(LOGITS, IS_ON) * np.where(IS_ON, weights, 1)
    found = task.loss(outputs, targets, weights=torch.from_numpy(weights))
    assert found.item() == pytest.approx(weighed.mean(), rel=1e-6)
    smoothed = losses(LOGITS, 0.9 * IS_ON + 0.05).mean()
    assert task.loss(outputs, targets, 0.1).item() == pytest.approx(smoothed, rel=1e-6)


def test_smoothing_is_that_of_two_classes():
    """A logit z is that of yes, against 0 of no."""
    task, outputs, targets = task_of(composed(*FAKE)), torch.from_numpy(LOGITS), torch.from_numpy(IS_ON)
    two = torch.stack([torch.zeros_like(outputs), outputs], dim=-1).reshape(-1, 2)
    expected = F.cross_entropy(two, targets.reshape(-1).long(), label_smoothing=0.2)
    torch.testing.assert_close(task.loss(outputs, targets, 0.2), expected)


def test_the_error_is_the_mean_share_of_wrong_attributes():
    task, outputs, targets = task_of(composed(*FAKE)), torch.from_numpy(LOGITS), torch.from_numpy(IS_ON)
    wrong = (LOGITS > 0) != IS_ON
    penalty = task.penalty(outputs, targets).item()
    assert penalty == pytest.approx(wrong.mean(axis=1).sum())
    assert task.score(penalty, 50) == pytest.approx(100 * wrong.mean())
    assert task.penalties(outputs, targets).tolist() == pytest.approx(wrong.mean(axis=1).tolist())


def test_details_are_those_of_scikit_learn():
    details = task_of(composed(*FAKE)).details()
    assert details is not None
    for rows in (slice(0, 20), slice(20, 50)):
        details.add(torch.from_numpy(LOGITS[rows]), torch.from_numpy(IS_ON[rows]))
    found = details.scores("abcd")
    varied = range(3)
    balanced = [100 - 100 * balanced_accuracy_score(IS_ON[:, k], LOGITS[:, k] > 0) for k in varied]
    precision = [100 * average_precision_score(IS_ON[:, k], LOGITS[:, k]) for k in varied]
    share = IS_ON.mean(axis=0)
    assert found["balanced_error"] == pytest.approx(np.mean(balanced))
    assert found["average_precision"] == pytest.approx(np.mean(precision))
    assert found["majority_error"] == pytest.approx(100 * np.minimum(share, 1 - share).mean())
    errors = 100 * ((LOGITS > 0) != IS_ON).mean(axis=0)
    assert found["attribute_errors"] == pytest.approx(dict(zip("abcd", errors, strict=True)))


def test_attributes_with_one_value_have_no_other_scores():
    details = task_of(composed(*FAKE)).details()
    assert details is not None
    details.add(torch.ones(3, 1), torch.ones(3, 1, dtype=torch.uint8))
    assert details.scores(["a"]) == {"majority_error": 0, "attribute_errors": {"a": 0}}


def test_mixed_labels_are_shares():
    task = task_of(composed(*FAKE))
    labels, other = torch.from_numpy(IS_ON[:3]), torch.tensor([1, 2, 0])
    weight = torch.tensor([0.7, 1.0, 0.4])
    mixed = mixed_labels(labels, other, weight, 4)
    expected = weight[:, None] * labels + (1 - weight[:, None]) * labels[other]
    torch.testing.assert_close(mixed, expected)
    outputs = torch.from_numpy(LOGITS[:3])
    assert task.loss(outputs, mixed).item() == pytest.approx(losses(LOGITS[:3], mixed.numpy()).mean(), rel=1e-6)
    wrong = (LOGITS[:3] > 0) != (mixed.numpy() > 0.5)
    assert task.penalty(outputs, mixed).item() == pytest.approx(wrong.mean(axis=1).sum())


@pytest.mark.parametrize("mixed", [False, True])
def test_steps_never_look_at_values(mixed: bool):
    """On the `meta` device there are none, as there are none while a CUDA graph is recorded."""
    config = composed(*FAKE)
    task, device = task_of(config), torch.device("meta")
    with device:
        images, outputs = torch.empty(16, *config.data.image_shape), torch.empty(16, 4, requires_grad=True)
        labels = torch.empty(16, 4, dtype=torch.float32 if mixed else torch.uint8)
        targets = task.targets(images, labels)
        task.loss(outputs, targets, 0.1, torch.empty(4)).backward()
        Totals(task, device).add(task.loss(outputs, targets), outputs, targets)


def test_its_scores_are_those_of_the_stored_network(finished: BitsLab):
    directory = finished.directory()
    result = directory.result()
    for when in ("last", "best"):
        config, net = load_run(directory.path, when)
        data = ImageData(config)
        with torch.no_grad():
            logits = net(data.normalise(torch.from_numpy(data.source.test.pixels))).numpy()
        labels = data.source.test.labels
        wrong = (logits > 0) != labels
        assert result[when]["test_error"] == pytest.approx(100 * wrong.mean())
        assert result[when]["test_loss"] == pytest.approx(losses(logits, labels).mean(), rel=1e-5)
        details = result["test"][when]
        assert [*details["attribute_errors"].values()] == pytest.approx((100 * wrong.mean(axis=0)).tolist())
        stored = read_predictions(directory.predictions_file, "test", when)
        assert stored.label is not None
        assert stored.predicted is not None
        assert stored.each is not None
        assert stored.label.tolist() == labels.tolist()
        assert stored.predicted.tolist() == (logits > 0).astype(int).tolist()
        assert np.allclose(stored.probabilities, expit(logits), atol=1e-3)
        assert stored.each.mean() == pytest.approx(result[when]["test_error"])
    assert result["images"]["classes"] == ["eights", "fours", "twos", "ones", "prime", "loop"]


def test_what_tensorboard_shows(finished: BitsLab):
    path = finished.directory().path
    assert {"pictures/attributes", "pictures/correlation"} <= set(events(path).Tags()["images"])
    header, *rows = (path / "00026" / "features" / "metadata.tsv").read_text().splitlines()
    assert header.split("\t") == ["attributes", "eights", "fours", "twos", "ones", "prime", "loop"]
    data = ImageData(finished.config())
    labels = data.source.train.labels[drawn(data.validation_rows, len(rows))]
    assert [[int(value) for value in row.split("\t")[1:]] for row in rows] == labels.tolist()
    assert rows[0].split("\t")[0] == ", ".join(np.array(data.source.classes)[labels[0] > 0]) or "none"


def test_an_interrupted_run_continues_to_the_same_numbers(finished: BitsLab, tmp_path: Path):
    own = BitsLab(tmp_path)
    with pytest.raises(RunFailed):
        own.run(callbacks=[FailsAt(1)])
    assert without_times(own.run()) == without_times(finished.directory().result())
    assert same_weights(own.checkpoint(), finished.checkpoint())


def test_a_run_learns_more_than_the_majority(tmp_path: Path):
    """With mixed images, smoothed labels and averaged weights."""
    all_tricks = ("augment=[mixup]", "optim.label_smoothing=0.05", "optim.ema=0.9")
    result = BitsLab(tmp_path).run("data.num_train=1200", "trainer.max_epochs=4", *all_tricks)
    assert result["last"]["test_error"] < 30 < 35 < result["test"]["last"]["majority_error"]


def test_its_speed_and_learning_rate_are_measured(tmp_path: Path):
    config = BitsLab(tmp_path).config()
    assert bare_seconds(config, rounds=1) > 0
    measured, result = trained(config, 2)
    assert measured["images"] % (2 * 16) == 0
    assert result["task"]["name"] == "attributes"
    assert range_test(config, 1e-4, 1, 4).losses.shape == (4,)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("data=digits", "task=attributes"), "task=attributes needs yes or no for each of several attributes, but "),
        (("data=digit_bits",), "task=classification needs one class for each image, but data=digit_bits has yes or no"),
        ((*FAKE, "data.sampler=balanced"), "data.sampler=balanced needs classes, but task=attributes has none"),
    ],
)
def test_what_is_wrong_is_told(words: tuple[str, ...], message: str):
    with pytest.raises(ConfigError, match=message):
        composed(*words)


def test_labels_that_are_no_attributes_are_refused():
    info: Any = task_of(composed(*FAKE)).info
    data = composed(*FAKE).data
    for labels, message in (
        (np.zeros((3, 4), np.int64), "labels must be uint8"),
        (np.zeros((3, 5), np.uint8), "0 or 1 for each of data.num_classes=4 attributes; got up to 0 for 5"),
        (np.full((3, 4), 2, np.uint8), "got up to 2 for 4"),
    ):
        with pytest.raises(ConfigError, match=message):
            info.check_labels(labels, data)
