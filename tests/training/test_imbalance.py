"""Classes of different sizes: weights of the loss, balanced epochs, and what a test tells of each class."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from support.composing import config as load_config
from support.lab import Lab
from torch.nn import functional as F

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.registry import TASKS
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.loader import TrainLoader, balanced_weights
from resnet_lab.data.sources import Images
from resnet_lab.data.stores import OnDevice
from resnet_lab.tasks.base import task_of
from resnet_lab.tasks.load import load_run

RNG = np.random.default_rng(0)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = RNG.choice(4, 200, p=[0.6, 0.3, 0.06, 0.04])
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    assert np.allclose(balanced_weights(labels), expected)
    assert balanced_weights(labels)[labels].mean() == pytest.approx(1)
    assert balanced_weights(np.array([0, 2, 2])).tolist() == [1.5, 0, 0.75]  # a class without images


def test_the_weighted_loss_is_the_mean_over_classes_of_the_mean_over_their_images() -> None:
    task = task_of(load_config())
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    outputs, targets = torch.randn(len(labels), 10, dtype=torch.float64), torch.from_numpy(labels)
    weights = torch.from_numpy(balanced_weights(labels))
    each = F.cross_entropy(outputs, targets, reduction="none")
    expected = torch.stack([each[targets == label].mean() for label in range(10)]).mean()
    assert torch.isclose(task.loss(outputs, targets, 0.0, weights), expected)
    assert torch.isclose(task.loss(outputs, targets), each.mean())


def skewed(*changes: str) -> ImageData:
    """Digits, of which only every tenth image of the even ones is trained on."""
    data = ImageData(load_config(*changes))
    labels = data.source.train.labels[data.train_rows]
    data.train_rows = data.train_rows[(labels % 2 == 1) | (np.arange(len(labels)) % 10 == 0)]
    return data


def test_balanced_epochs_are_as_long_and_draw_all_classes_alike() -> None:
    data = skewed("data.sampler=balanced", "optim.batch_size=50")
    rows, labels = data.train_rows, data.source.train.labels
    images = OnDevice(Images(data.source.train.pixels, labels), torch.device("cpu"))

    def epoch(number: int, seed: int = 0) -> list[int]:
        config = dataclasses.replace(data.config, seed=seed)
        loader = TrainLoader(images, rows, data.normalise, config, 1)
        loader.set_epoch(number)
        return [label for _, batch in loader for label in batch.tolist()]

    assert len(epoch(0)) == len(rows)
    counts = np.sum([np.bincount(epoch(number), minlength=10) for number in range(20)], axis=0)
    expected = 20 * len(rows) / 10
    assert np.abs(counts - expected).max() < 4 * math.sqrt(expected)
    assert np.bincount(labels[rows])[0] < 0.2 * np.bincount(labels[rows])[1]
    assert epoch(3) == epoch(3)
    assert epoch(3) != epoch(4)
    assert epoch(3) != epoch(3, seed=1)


def test_a_shuffled_epoch_has_each_image_once() -> None:
    data = skewed()
    images = OnDevice(Images(data.source.train.pixels, data.source.train.labels), torch.device("cpu"))
    loader = TrainLoader(images, data.train_rows, data.normalise, data.config, 1)
    drawn = np.concatenate([labels for _, labels in loader])
    assert np.array_equal(np.bincount(drawn), np.bincount(data.source.train.labels[data.train_rows]))


@pytest.mark.slow
@pytest.mark.parametrize("change", ["optim.class_weights=balanced", "data.sampler=balanced"])
def test_both_change_the_training_and_an_interrupted_run_ends_the_same(lab: Lab, change: str) -> None:
    from support.lab import FailsAt, same_weights

    from resnet_lab.interrupts import RunFailed

    lab.run()
    other = Lab(lab.output_dir / "other")
    other.run(change)
    assert not same_weights(lab.checkpoint(), other.checkpoint(change))
    again = Lab(lab.output_dir / "again")
    with pytest.raises(RunFailed):
        again.run(change, callbacks=[FailsAt(1)])
    again.run(change)
    assert same_weights(other.checkpoint(change), again.checkpoint(change))


@pytest.mark.slow
def test_a_test_tells_the_errors_of_classes(lab: Lab) -> None:
    """Computed again from the stored network."""
    result = lab.run("data.num_classes=7")
    config, net = load_run(lab.directory("data.num_classes=7").path)
    data = ImageData(config)
    with torch.no_grad():
        predicted = net(data.normalise(torch.from_numpy(data.source.test.pixels))).argmax(dim=1).numpy()
    labels = data.source.test.labels
    errors = {str(c): 100 * np.mean(predicted[labels == c] != c) for c in range(7)}
    details = result["test"]["last"]
    assert details["class_errors"] == pytest.approx(errors)
    assert details["balanced_error"] == pytest.approx(np.mean([*errors.values()]))
    assert "top5_error" not in details
    assert result["test"]["best"].keys() == details.keys()
    assert result["images"]["classes"] == list("0123456")


def test_top_5_errors_are_told_from_100_classes_on() -> None:
    task = task_of(load_config("data=fake", "data.num_classes=100"))
    outputs = torch.zeros(4, 100)
    outputs[:, :5] = torch.arange(5, 0, -1).float()  # the first five, in this order
    collected = task.details()
    assert collected is not None
    collected.add(outputs, torch.tensor([0, 1, 4, 50]))
    details = collected.scores([str(number) for number in range(100)])
    assert details["top5_error"] == 25
    assert details["balanced_error"] == 75
    assert details["class_errors"] == {"0": 0, "1": 100, "4": 100, "50": 100}


def test_a_task_without_classes_refuses_both(monkeypatch: pytest.MonkeyPatch) -> None:
    info = dataclasses.replace(TASKS.info("classification"), weighs=False, labels=None)
    monkeypatch.setitem(TASKS._entries, "classification", (TASKS._entries["classification"][0], info))
    for change in ("optim.class_weights", "data.sampler"):
        with pytest.raises(ConfigError, match=f"{change}=balanced needs classes, but task=classification has none"):
            load_config(f"{change}=balanced")
