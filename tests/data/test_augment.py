"""Augmentation does what the papers say, and each epoch sees each image once."""

import numpy as np
import pytest
import torch
from scipy import stats
from support.composing import config as load_config
from torch.nn import functional as F

from resnet_lab.data.augment import Augmentation, Crop, Flip, active_augmentations
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.images import Normalisation
from resnet_lab.data.loader import EvalLoader, TrainLoader
from resnet_lab.data.sources import Images
from resnet_lab.data.stores import OnDevice

CPU = torch.device("cpu")
NORMALISE = Normalisation((0.5,) * 3, (0.25,) * 3)


def made(*overrides: str) -> list[Augmentation]:
    """The augmentations that overrides of the default ask for."""
    return active_augmentations(load_config("data=cifar10", *overrides), NORMALISE)


@pytest.mark.parametrize("channels", [1, 3])
def test_crops_and_flips_equal_padding_cutting_and_mirroring_one_by_one(channels: int) -> None:
    images, labels = torch.randn(50, channels, 7, 9), torch.arange(50)
    crop, flip = made("augment.crop.pad=2")
    corners, mirrored = (made_.draw(np.random.default_rng(seed), 50) for seed, made_ in enumerate((crop, flip)))
    cropped, _ = crop.apply(images, labels, *corners)
    flipped, unchanged = flip.apply(cropped, labels, *mirrored)
    assert torch.equal(unchanged, labels)
    for image, top, left, flips, cut, result in zip(images, *corners, *mirrored, cropped, flipped, strict=True):
        expected = F.pad(image, (2, 2, 2, 2))[:, top : top + 7, left : left + 9]
        assert torch.equal(cut, expected)
        assert torch.equal(result, expected.flip(-1) if flips else expected)
    # One channel is channels-first and channels-last alike, but kernels are chosen by its stride.
    for result in (cropped, flipped, flip.apply(images, labels, *mirrored)[0]):
        assert result.stride() == (7 * 9 * channels, 1, 9 * channels, channels)


def test_all_offsets_are_equally_likely_and_independent() -> None:
    rng = np.random.default_rng(1)
    (top_B, left_B), (flip_B,) = (augmentation.draw(rng, 200_000) for augmentation in made())
    counts = torch.bincount((top_B * 9 + left_B) * 2 + flip_B, minlength=162).numpy()
    assert counts.shape == (162,)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_each_part_can_be_switched_off() -> None:
    assert made("augment.crop.pad=0", "augment.flip.p=0") == []
    assert [type(one) for one in made("augment.flip.p=0")] == [Crop]
    [flip] = made("augment.crop.pad=0")
    assert isinstance(flip, Flip)
    assert 400 < flip.draw(np.random.default_rng(0), 1000)[0].sum() < 600


@pytest.mark.parametrize(("p", "low", "high"), [(0.1, 60, 140), (0.9, 860, 940), (1, 1000, 1000)])
def test_flips_are_as_frequent_as_asked(p: float, low: int, high: int) -> None:
    [flip] = made("augment.crop.pad=0", f"augment.flip.p={p}")
    assert low <= flip.draw(np.random.default_rng(0), 1000)[0].sum() <= high


def numbered_images(count: int, size: int = 4) -> OnDevice:
    """Images whose label is their number."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, size, size), dtype=np.uint8)
    return OnDevice(Images(pixels, np.arange(count)), CPU)


def train_loader(images: OnDevice, rows: np.ndarray, *overrides: str, steps: int = 1) -> TrainLoader:
    config = load_config("data=fake", "data.image_size=4", "stacks=two", "augment.crop.pad=1", *overrides)
    return TrainLoader(images, rows, Normalisation((0.5,) * 3, (0.25,) * 3), config, steps)


@pytest.mark.parametrize("steps", [1, 3, 100])
def test_every_image_once_an_epoch_the_last_batch_smaller(steps: int) -> None:
    rows = np.arange(0, 200, 2)
    loader = train_loader(numbered_images(200), rows, "optim.batch_size=32", steps=steps)
    labels = [labels for _, labels in loader]
    assert len(labels) == len(loader)
    assert sorted(torch.cat(labels).tolist()) == rows.tolist()
    batches = [batch for call in labels for batch in call.split(32)]
    assert [len(batch) for batch in batches] == [32, 32, 32, 4]


def test_batches_follow_from_seed_and_epoch_alone() -> None:
    images, rows = numbered_images(64), np.arange(64)
    epochs = {}
    for seed in (0, 1):
        for epoch in (0, 1):
            loader = train_loader(images, rows, f"seed={seed}", "optim.batch_size=64")
            loader.set_epoch(epoch)
            epochs[seed, epoch] = next(iter(loader))
            assert all(torch.equal(a, b) for a, b in zip(epochs[seed, epoch], next(iter(loader)), strict=True))
    orders = [tuple(labels.tolist()) for _, labels in epochs.values()]
    assert len(set(orders)) == 4


@pytest.mark.parametrize(("pad", "p"), [(1, 0.5), (2, 0), (0, 0.5), (0, 0)])
def test_an_epoch_draws_its_order_then_crops_then_flips(pad: int, p: float) -> None:
    """As version 0.1 did: what is switched off draws nothing."""
    images, rows = numbered_images(40), np.arange(0, 40, 2)
    loader = train_loader(images, rows, f"augment.crop.pad={pad}", f"augment.flip.p={p}", "seed=3", steps=9)
    loader.set_epoch(2)
    [(batch, labels)] = loader
    rng = np.random.default_rng([3, 2])
    order = rows[rng.permutation(20)]
    tops, lefts = rng.integers(0, 2 * pad + 1, size=(2, 20)) if pad else np.zeros((2, 20), int)
    flips = rng.random(20) < p
    assert labels.tolist() == order.tolist()
    assert batch.is_contiguous(memory_format=torch.channels_last)
    normalised = (images.pixels_NCHW.float() / 255 - 0.5) / 0.25
    for result, row, top, left, flip in zip(batch, order, tops, lefts, flips, strict=True):
        cut = F.pad(normalised[row], (pad, pad, pad, pad))[:, top : top + 4, left : left + 4]
        assert torch.equal(result, cut.flip(-1) if flip else cut)


def test_several_batches_a_call_are_the_same_batches() -> None:
    images, rows = numbered_images(100), np.arange(100)
    one, many = (train_loader(images, rows, "optim.batch_size=16", steps=steps) for steps in (1, 4))
    for index in (0, 1):
        assert torch.equal(*(torch.cat([batch[index] for batch in loader]) for loader in (one, many)))


def test_normalised_images_have_mean_0_and_deviation_1() -> None:
    images = numbered_images(500)
    rows = np.arange(100, 500)
    measured = Normalisation.measure(images.pixels_NCHW.numpy(), rows)
    config = load_config("trainer.eval_batch_size=64")
    batches = torch.cat([batch for batch, _ in EvalLoader(images, rows, measured, config)])
    assert batches.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert (batches.std(dim=(0, 2, 3), correction=0) - 1).abs().max() < 1e-5


def test_a_constant_channel_does_not_divide_by_zero() -> None:
    pixels = np.full((5, 1, 2, 2), 255, dtype=np.uint8)
    normalise = Normalisation.measure(pixels, np.arange(5))
    assert torch.equal(normalise(torch.from_numpy(pixels)), torch.zeros(5, 1, 2, 2))


def test_parts_do_not_overlap_and_do_not_follow_the_seed() -> None:
    one, two = (ImageData(load_config(f"seed={seed}")) for seed in (0, 1))
    assert np.array_equal(one.validation_rows, two.validation_rows)
    assert not set(one.train_rows) & set(one.validation_rows)
    assert len(one.train_rows) + len(one.validation_rows) == len(one.source.train) == 1437
    other = ImageData(load_config("seed=5", "data.split_seed=${seed}"))
    assert not np.array_equal(one.validation_rows, other.validation_rows)


def test_validation_by_share_and_by_number() -> None:
    assert len(ImageData(load_config("data.validation=100")).validation_rows) == 100
    assert len(ImageData(load_config("data.validation=0.2")).validation_rows) == round(0.2 * 1437)
    assert len(ImageData(load_config("data.validation=0")).validation_rows) == 0


def test_given_mean_and_std_are_used() -> None:
    data = ImageData(load_config("data.mean=[0.25]", "data.std=[2]"))
    assert data.normalise == Normalisation((0.25,), (2.0,))
