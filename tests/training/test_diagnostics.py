"""Diagnostics while a run trains: they record what they should, and the run learns the same."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.lab import FailsAt, Lab, events, same_weights, scalars, without_times

from resnet_lab.callbacks.diagnostics import diagnostics
from resnet_lab.callbacks.light import FIRST_STEPS
from resnet_lab.config.checks import ConfigError
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.split import drawn
from resnet_lab.inspect.flow import flow
from resnet_lab.interrupts import RunFailed
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.rundir.identity import identity
from resnet_lab.tasks.base import task_of

pytestmark = pytest.mark.slow

# Dropout draws random numbers in every step, and each of them is looked at.
DROPOUT = ("shortcut=dropout", "trainer.max_epochs=4", "trainer.steps_per_call=1")


def trained(folder: Path, kind: str, *changes: str, fails_at: int | None = None, seconds: float = 0.0) -> Lab:
    """A laboratory with one run, with diagnostics as the command line makes them, at least `seconds` apart."""
    lab = Lab(folder)
    changes = (*changes, f"diagnostics={kind}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resnet_lab.callbacks.light.SECONDS", seconds)
        if fails_at is not None:
            with pytest.raises(RunFailed, match="out of luck"):
                lab.run(*changes, callbacks=[*diagnostics(lab.config(*changes)), FailsAt(fails_at)])
        lab.run(*changes, callbacks=diagnostics(lab.config(*changes)))
    return lab


@pytest.fixture(scope="module")
def off(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return trained(tmp_path_factory.mktemp("off"), "off", *DROPOUT)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return trained(tmp_path_factory.mktemp("full"), "full", *DROPOUT)


@pytest.fixture(scope="module")
def continued(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """After it failed between two epochs."""
    return trained(tmp_path_factory.mktemp("continued"), "full", *DROPOUT, fails_at=2)


def test_a_run_learns_the_same(off: Lab, full: Lab, continued: Lab):
    """Undisturbed or interrupted and continued: the same weights, moments, statistics and numbers."""
    expected, result = off.checkpoint(*DROPOUT), off.directory(*DROPOUT).result()
    for other in (full, continued):
        checkpoint = other.checkpoint(*DROPOUT)
        assert same_weights(checkpoint, expected)
        for mine, theirs in zip(
            checkpoint["optimizer_states"][0]["state"].values(),
            expected["optimizer_states"][0]["state"].values(),
            strict=True,
        ):
            assert torch.equal(mine["momentum_buffer"], theirs["momentum_buffer"])
        assert without_times(other.directory(*DROPOUT).result()) == without_times(result)


def test_it_is_the_same_run(off: Lab):
    config = off.config(*DROPOUT, "diagnostics=full")
    assert identity(config) == identity(off.config(*DROPOUT))
    assert off.directory(*DROPOUT, "diagnostics=full").path == off.directory(*DROPOUT).path
    assert off.run(*DROPOUT, "diagnostics=full") == off.directory(*DROPOUT).result()  # done already


def test_off_records_nothing(off: Lab):
    tags = events(off.directory(*DROPOUT).path).Tags()
    assert not [tag for tag in tags["scalars"] if tag.startswith(("network gradient/", "network share/"))]
    assert not tags["images"]
    assert diagnostics(off.config("diagnostics=off")) == []


def test_gradient_norms_and_shares_at_the_first_steps_and_after_epochs(full: Lab):
    written = scalars(full.directory(*DROPOUT).path)
    parts = ["stem", *(f"stacks.{s}.units.{u}" for s in range(2) for u in range(2)), "head"]
    for group, own in (("network gradient", parts), ("network share", parts[1:-1])):
        assert sorted(tag for tag in written if tag.startswith(group)) == sorted(f"{group}/{part}" for part in own)
    steps = [step for step, _ in written["network gradient/stem"]]
    assert steps == [0, 1, 10, 12]  # not 3, 6 and 9: of epochs of 3 steps only every 7th is looked at
    assert set(steps) - {12} <= set(FIRST_STEPS)


@pytest.mark.parametrize(("seconds", "steps"), [(0.0, [0, 1, 10, 20, 40, 60]), (1e9, [0, 1, 10, 20, 60])])
def test_gradient_norms_and_shares_after_epochs_of_twenty_steps(tmp_path: Path, seconds: float, steps: list[int]):
    """Of fast epochs, only the first and the last are looked at."""
    changes = ("data.num_images=320", "data.validation=0", "trainer.max_epochs=3", "trainer.steps_per_call=1")
    written = scalars(trained(tmp_path, "light", *changes, seconds=seconds).directory(*changes).path)
    for tag in ("network gradient/stem", "network share/stacks.1.units.1"):
        assert [step for step, _ in written[tag]] == steps


def test_the_first_values_are_those_of_the_initial_network(full: Lab):
    config = full.config(*DROPOUT)
    torch.manual_seed(config.seed)
    net = ResNetV2(config.model).to(memory_format=torch.channels_last)  # as dropout draws in the order of memory
    data = ImageData(config)
    rows = drawn(data.train_rows, 2)  # an eighth of a mini-batch
    images = data.normalise(torch.from_numpy(data.source.train.pixels[rows]))
    images = images.contiguous(memory_format=torch.channels_last)
    found = flow(net, task_of(config), images, torch.from_numpy(data.source.train.labels[rows]))
    written = scalars(full.directory(*DROPOUT).path)
    for name, value in zip(found.names, found.gradient, strict=True):
        assert written[f"network gradient/{name}"][0] == (0, pytest.approx(value, rel=1e-3))
    for name, value in zip(found.names[1:-1], found.share[1:-1], strict=True):
        assert written[f"network share/{name}"][0] == (0, pytest.approx(value, rel=1e-3))


def test_nothing_is_recorded_twice_by_a_run_that_continues(continued: Lab, full: Lab):
    assert (
        scalars(continued.directory(*DROPOUT).path)["network gradient/head"]
        == scalars(full.directory(*DROPOUT).path)["network gradient/head"]
    )


def test_histograms_filters_and_figures(full: Lab):
    directory = full.directory(*DROPOUT)
    read = events(directory.path)
    assert {"weights/stem", "weights/stacks.0", "weights/stacks.1", "weights/head"} <= set(
        read.Tags()["tensors"] + read.Tags()["histograms"]
    )
    layers = ("stem", "stacks.0", "stacks.1", "innermost")
    figures = {"pictures/flow", "pictures/confusion", *(f"pictures/maps of {layer}" for layer in layers)}
    images = set(read.Tags()["images"])
    assert figures <= images
    assert any(tag.startswith("pictures/first-layer filters") for tag in images)
    assert [event.step for event in read.Images("pictures/flow")] == [3, 6, 12]  # after the epochs 1, 2, 4
    stem = full.checkpoint(*DROPOUT)["state_dict"]["net.stem.conv.weight"]
    histogram = read.Histograms("weights/stem")[-1].histogram_value
    assert histogram.num == stem.numel()
    assert histogram.sum == pytest.approx(float(stem.sum()), rel=1e-3)


def test_the_projector_has_features_pictures_and_labels(full: Lab):
    path = full.directory(*DROPOUT).path
    config = (path / "projector_config.pbtxt").read_text()
    assert config.count("embeddings {") == 1
    folder = path / "00012" / "features"
    features = np.loadtxt(folder / "tensors.tsv")
    assert features.shape == (16, 32)  # validation images, filters of the last stack
    assert len((folder / "metadata.tsv").read_text().split()) == 16
    assert (folder / "sprite.png").exists()


@pytest.mark.parametrize(
    "kind",
    [("data.channels=4",), ("data.channels=2", "data.validation=0"), ("head=latent", "trainer.steps_per_call=4")],
)
def test_other_networks(kind: tuple[str, ...], tmp_path: Path):
    changes = (*kind, "trainer.max_epochs=1")
    lab = trained(tmp_path, "full", *changes)
    assert "pictures/confusion" in events(lab.directory(*changes).path).Tags()["images"]


def test_an_unknown_kind_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"there is no diagnostics=most; diagnostics can be: full, light, off"):
        Lab(tmp_path).config("diagnostics=most")
