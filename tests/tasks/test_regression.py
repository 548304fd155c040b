"""Regression against formulas in NumPy, on labels of any scale."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from support.composing import config as composed
from support.lab import TINY, FailsAt, Lab, same_weights, without_times

from resnet_lab import load_run
from resnet_lab.bench.measure import bare_seconds, trained
from resnet_lab.bench.range_test import range_test
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig
from resnet_lab.config.enums import Labels
from resnet_lab.config.registry import DATASETS, DatasetInfo
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.sources import Images, Source
from resnet_lab.interrupts import RunFailed
from resnet_lab.rundir.predictions import read_predictions
from resnet_lab.tasks.base import task_of
from resnet_lab.training.step import Totals

PRICES = DatasetInfo(help="noise and its prices", channels=1, image_size=8, labels=Labels.number)
LEAST, MORE = 150_000, 100_000


def prices(config: DataConfig) -> Source:
    """Noise, dearer the brighter it is: 80 images to train on, 20 to test."""

    def images(count: int, rng: np.random.Generator) -> Images:
        brightness = rng.random((count, 1, 1, 1))
        pixels = (255 * brightness * rng.random((count, *config.image_shape))).astype(np.uint8)
        return Images(pixels, (LEAST + MORE * brightness[:, 0, 0, 0]).astype(np.float32))

    rng = np.random.default_rng(0)
    return Source(images(80, rng), images(20, rng), ())


class PriceLab(Lab):
    """Runs on the prices."""

    def overrides(self, *changes: str) -> list[str]:
        ours = [word for word in super().overrides() if not word.startswith("data") or "validation" in word]
        return [*ours, "data=prices", "task=regression", "augment=none", *changes]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PriceLab]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DATASETS, "_entries", dict(DATASETS._entries))
        DATASETS.add("prices", PRICES, prices)
        lab = PriceLab(tmp_path_factory.mktemp("prices"))
        lab.run()
        yield lab


def test_scores_are_those_of_numpy():
    task = task_of(composed(*TINY, "task=regression", "data.label_scale=[50,20]"))
    rng = np.random.default_rng(0)
    outputs, labels = torch.from_numpy(rng.normal(size=(40, 1))).float(), torch.from_numpy(rng.normal(60, 20, 40))
    predicted, true = 50 + 20 * outputs[:, 0].double().numpy(), labels.numpy()
    targets = task.targets(torch.empty(40, 3, 8, 8), labels.float())
    assert task.loss(outputs, targets).item() == pytest.approx(((predicted - true) ** 2).mean() / 20**2, rel=1e-5)
    mae = np.abs(predicted - true).mean()
    assert task.score(task.penalty(outputs, targets).item(), 40) == pytest.approx(mae, rel=1e-5)
    assert task.final(outputs).numpy() == pytest.approx(predicted, rel=1e-5)
    details = task.details()
    assert details is not None
    for rows in (slice(0, 30), slice(30, 40)):
        details.add(outputs[rows], targets[rows])
    assert details.scores(()) == pytest.approx(
        {
            "rmse": ((predicted - true) ** 2).mean() ** 0.5,
            "mae_of_mean": np.abs(true - true.mean()).mean(),
            "r2": r2_score(true, predicted),
        },
        rel=1e-5,
    )


def test_steps_never_look_at_values():
    """On the `meta` device there are none, as there are none while a CUDA graph is recorded."""
    task, device = task_of(composed(*TINY, "task=regression")), torch.device("meta")
    with device:
        outputs = torch.empty(16, 1, requires_grad=True)
        targets = task.targets(torch.empty(16, 3, 8, 8), torch.empty(16))
        task.loss(outputs, targets).backward()
        Totals(task, device).add(task.loss(outputs, targets), outputs, targets)


def test_large_numbers_are_learned_and_told_in_their_unit(finished: PriceLab):
    result = finished.run("trainer.max_epochs=20")
    assert 2 * result["last"]["test_mae"] < result["test"]["last"]["mae_of_mean"] < MORE
    path = finished.directory("trainer.max_epochs=20").path
    config, net = load_run(path)
    data = ImageData(config)
    labels = data.source.train.labels[data.train_rows]
    assert config.data.label_scale == pytest.approx([labels.mean(), labels.std()])
    with torch.no_grad():
        outputs = net(data.normalise(torch.from_numpy(data.source.test.pixels)))
    predicted = task_of(config).final(outputs).numpy()
    errors = np.abs(predicted - data.source.test.labels)
    assert result["last"]["test_mae"] == pytest.approx(errors.mean(), rel=1e-4)
    stored = read_predictions(path / "predictions.npz", "test", "last")
    assert stored.penalty == pytest.approx(errors, rel=1e-3, abs=10)


def test_the_scale_of_the_labels_changes_nothing_but_the_unit(finished: PriceLab, monkeypatch: pytest.MonkeyPatch):
    """The same images, with prices in thousands."""

    def thousands(config: DataConfig) -> Source:
        found = prices(config)
        train, test = (Images(part.pixels, part.labels / 1000) for part in (found.train, found.test))
        return Source(train, test, ())

    monkeypatch.setitem(DATASETS._entries, "thousands", (thousands, PRICES))
    one, other = finished.run(), finished.run("data=thousands")
    assert other["last"]["train_loss"] == pytest.approx(one["last"]["train_loss"], rel=1e-3)
    assert 1000 * other["last"]["test_mae"] == pytest.approx(one["last"]["test_mae"], rel=1e-3)


def test_an_interrupted_run_continues_to_the_same_numbers(finished: PriceLab, tmp_path: Path):
    own = PriceLab(tmp_path)
    with pytest.raises(RunFailed):
        own.run(callbacks=[FailsAt(1)])
    assert without_times(own.run()) == without_times(finished.directory().result())
    assert same_weights(own.checkpoint(), finished.checkpoint())


def test_its_speed_and_learning_rate_are_measured(finished: PriceLab):
    config = finished.config()
    assert bare_seconds(config, rounds=1) > 0
    assert trained(config, 2)[1]["last"]["test_mae"] > 0
    found = range_test(config, 1e-4, 1e-3, 4)
    assert 0 < found.losses[0] < 100  # in standard deviations of the labels, not in their unit


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("data=digits", "task=regression"), "task=regression needs one number for each image, but data=digits has"),
        (("optim.label_smoothing=0.1",), "optim.label_smoothing needs classes, but task=regression has none"),
        (("optim.class_weights=balanced",), "optim.class_weights=balanced needs classes, but task=regression has none"),
        (("augment=[mixup]",), "mixup"),
        (
            ("data.label_scale=[1,0]",),
            r"data.label_scale must be a mean and a positive standard deviation, \[mean,std\]",
        ),
    ],
)
def test_what_is_wrong_is_told(words: tuple[str, ...], message: str):
    with pytest.raises(ConfigError, match=message):
        composed(*TINY, "task=regression", *words)
