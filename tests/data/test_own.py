"""Data sets and augmentations of one's own: registered, composed, trained with, and checked where they enter."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from support.composing import config as load_config
from torch import Tensor
from torch.nn import functional as F

from resnet_lab import load_run
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig
from resnet_lab.config.registry import AUGMENTATIONS, DATASETS, AugmentationInfo, DatasetInfo
from resnet_lab.data.augment import Augmentation
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.images import Normalisation
from resnet_lab.data.loader import Batch, TrainLoader
from resnet_lab.data.sources import Images, Source
from resnet_lab.data.stores import OnDevice
from resnet_lab.rundir.place import run_directory
from resnet_lab.training.run import run

pytestmark = pytest.mark.slow

COUNT, SIZE = 100, 16  # images, and those of a mini-batch
SHAPES = DatasetInfo(help="bright and dark squares", channels=1, classes=2, image_size=8)


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """What a test registers is gone after it."""
    tables = [(registry._entries, dict(registry._entries)) for registry in (DATASETS, AUGMENTATIONS)]
    yield
    for table, before in tables:
        table.clear()
        table.update(before)


# --- data sets


def squares(count: int) -> Images:
    labels = np.arange(count) % 2
    pixels = np.random.default_rng(count).integers(0, 100, (count, 1, 8, 8)) + 100 * labels[:, None, None, None]
    return Images(pixels.astype(np.uint8), labels)


def mine(config: DataConfig) -> Source:
    return Source(squares(60), squares(20), ("dark", "bright"))


def test_a_data_set_composes_trains_is_normalised_and_goes_again(tmp_path: Path) -> None:
    run_directory(load_config())  # what is kept of this knows nothing of `mine`
    DATASETS.register("mine", SHAPES)(mine)
    small = ("stacks=two", "units=n2", "filters=w16", "trainer=cpu", "trainer.max_epochs=2", "optim.batch_size=9")
    config = load_config("data=mine", *small, f"output_dir={tmp_path}")
    assert (config.data.image_shape, config.data.num_classes, config.name) == ((1, 8, 8), 2, "mine")
    data = ImageData(config)
    training = data.normalise(torch.from_numpy(data.source.train.pixels[data.train_rows]))
    assert training.mean().abs() < 1e-5
    assert (training.std(correction=0) - 1).abs() < 1e-5
    assert run(config)["last"]["test_error"] == 0.0
    stored, _ = load_run(run_directory(config).path)
    assert stored.data.name == "mine"
    with pytest.raises(ConfigError, match=r"^data=mine needs data\.num_classes=2, got data\.num_classes=3$"):
        ImageData(load_config("data=mine", "data.num_classes=3"))


def test_what_tests_register_is_gone() -> None:
    assert "mine" not in DATASETS
    assert "mix" not in AUGMENTATIONS
    with pytest.raises(ConfigError, match=r"data\.name can be digits, .*; got mine"):
        load_config("data.name=mine")


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.name: fake already exists"):
        DATASETS.register("fake", SHAPES)(mine)


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (lambda labels: labels[:, None].astype(np.float32), r"labels must be int64 \(N,\), .*; got float32 \(\d+, 1\)"),
        (lambda labels: labels.astype(np.uint8), r"labels must be int64 \(N,\), .*; got uint8 \(\d+,\)"),
        (lambda labels: labels + 1, r"labels must be 0 to 1, as data\.num_classes=2; got 1 to 2"),
        (lambda labels: labels - 1, r"labels must be 0 to 1, as data\.num_classes=2; got -1 to 0"),
    ],
)
def test_labels_that_are_no_classes_are_refused(
    labels: Callable[[np.ndarray], np.ndarray], message: str, part: int, tmp_path: Path
) -> None:
    parts = [squares(60), squares(20)]
    parts[part] = Images(parts[part].pixels, labels(parts[part].labels))
    DATASETS.register("mine", SHAPES)(lambda config: Source(*parts, ("dark", "bright")))
    with pytest.raises(ConfigError, match=f"^data=mine: {message}$"):
        run(load_config("data=mine", f"output_dir={tmp_path}"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "images",
    [
        Images(squares(60).pixels / 255, squares(60).labels),
        Images(squares(60).pixels[:, 0], squares(60).labels),
        Images(squares(60).pixels.repeat(3, axis=1), squares(60).labels),
        Images(squares(60).pixels, squares(20).labels),
        squares(0),
    ],
)
def test_what_are_no_images_of_the_config_is_refused(images: Images) -> None:
    DATASETS.register("mine", SHAPES)(lambda config: Source(squares(60), images, ("dark", "bright")))
    with pytest.raises(ConfigError, match=r"^data=mine: images must be uint8 \(N, 1, height, width\), .* these are "):
        ImageData(load_config("data=mine"))


# --- augmentations


@dataclass(slots=True, kw_only=True)
class MixSettings:
    """Of `Mix`."""

    share: float = 0.0  # of the other image

    @property
    def active(self) -> bool:
        return self.share > 0


class Mix(Augmentation):
    """Every image with another one, and their classes in the same shares (arXiv:1710.09412)."""

    mixes = True

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        return (torch.from_numpy(rng.random(count)),)

    def apply(self, images_BCHW: Tensor, labels: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        other_B = drawn[0].argsort()
        targets_BK = F.one_hot(labels, self.data.num_classes).float()
        mixed = (torch.lerp(tensor, tensor[other_B], self.settings.share) for tensor in (images_BCHW, targets_BK))
        return next(mixed), next(mixed)


def mixing_loader(steps: int, *overrides: str, mix: type[Augmentation] = Mix) -> TrainLoader:
    """Of images whose class is their number."""
    if "mix" not in AUGMENTATIONS:
        AUGMENTATIONS.register("mix", AugmentationInfo(help="mixup", settings=MixSettings))(mix)
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 3, 8, 8), dtype=np.uint8)
    images = OnDevice(Images(pixels, np.arange(COUNT)), torch.device("cpu"))
    shape = ("data=fake", "data.image_size=8", f"data.num_classes={COUNT}", f"optim.batch_size={SIZE}")
    config = load_config(*shape, "augment.mix.share=0.3", *overrides)
    return TrainLoader(images, np.arange(COUNT), Normalisation((0.5,) * 3, (0.25,) * 3), config, steps)


def mini_batches(loader: TrainLoader, epoch: int = 0) -> list[Batch]:
    loader.set_epoch(epoch)
    return [batch for images, labels in loader for batch in zip(images.split(SIZE), labels.split(SIZE), strict=True)]


def plain(epoch: int = 0) -> list[Batch]:
    """The mini-batches of the same epoch without mixing."""
    return mini_batches(mixing_loader(1, "augment.mix.share=0"), epoch)


def classes(targets_BK: Tensor) -> set[int]:
    """All that have a share in any of the targets."""
    return set(targets_BK.any(dim=0).nonzero().flatten().tolist())


@pytest.mark.parametrize("steps", [1, 3, 100])
def test_images_are_mixed_within_their_mini_batch_after_crops_and_flips(steps: int) -> None:
    loader = mixing_loader(steps)
    mixed = mini_batches(loader)
    assert [len(labels) for _, labels in mixed] == [16, 16, 16, 16, 16, 16, 4]
    assert sum(len(labels) for _, labels in loader) == COUNT  # as the progress bar counts
    for (images, targets), (whole, labels) in zip(mixed, plain(), strict=True):
        assert targets.shape == (len(labels), COUNT)
        assert classes(targets) == set(labels.tolist())
        assert torch.allclose(targets.sum(dim=1), torch.ones(len(labels)))
        shares = targets[:, labels]  # of the images of this mini-batch
        assert torch.allclose(images, torch.einsum("ij,jchw->ichw", shares, whole), atol=1e-5)
        assert not torch.allclose(images, whole, atol=0.1)


@pytest.mark.parametrize("steps", [3, 100])
def test_mixed_batches_are_the_same_however_many_a_call_has(steps: int) -> None:
    for one, other in zip(mini_batches(mixing_loader(1)), mini_batches(mixing_loader(steps)), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_run_that_continues_mixes_what_it_would_have_mixed() -> None:
    loader = mixing_loader(3)
    epochs = [mini_batches(loader, epoch) for epoch in range(3)]
    assert not torch.equal(epochs[0][0][1], epochs[2][0][1])
    for one, other in zip(epochs[2], mini_batches(mixing_loader(3), epoch=2), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_what_does_not_mix_is_given_a_whole_call() -> None:
    class Whole(Mix):
        mixes = False

    crossed = mini_batches(mixing_loader(3, mix=Whole))
    assert classes(crossed[0][1]) - set(plain()[0][1].tolist())


def test_settings_of_an_augmentation_can_be_given_in_any_order() -> None:
    one, other = (
        mixing_loader(3, *overrides).augmentations
        for overrides in (("augment.flip.p=0.2", "augment.crop.pad=1"), ("augment.crop.pad=1", "augment.flip.p=0.2"))
    )
    assert [type(a).__name__ for a in one] == [type(a).__name__ for a in other] == ["Crop", "Flip", "Mix"]
