"""Augmentation does what the papers say, and each epoch sees each image once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from resnet_lab import load_config
from resnet_lab.data.augment import Crops, crop_and_flip
from resnet_lab.data.images import Normalisation, ResidentImages
from resnet_lab.data.loader import EvalLoader, TrainLoader
from resnet_lab.data.module import ImageData

CPU = torch.device("cpu")


def test_crops_equal_padding_and_cutting_one_by_one() -> None:
    images = torch.randn(50, 3, 7, 9)
    crops = Crops.draw(np.random.default_rng(0), 50, pad=2, flip=True)
    result = crop_and_flip(images, crops, pad=2)
    assert result.is_contiguous(memory_format=torch.channels_last)
    for image, top, left, flip, cut in zip(images, *crops, result, strict=True):
        expected = F.pad(image, (2, 2, 2, 2))[:, top : top + 7, left : left + 9]
        assert torch.equal(cut, expected.flip(-1) if flip else expected)


def test_all_offsets_are_equally_likely_and_independent() -> None:
    crops = Crops.draw(np.random.default_rng(1), 200_000, pad=4, flip=True)
    cells = torch.stack([crops.top_B * 9 + crops.left_B, crops.flip_B.long()])
    counts = torch.bincount(cells[0] * 2 + cells[1], minlength=162).numpy()
    assert counts.shape == (162,)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_each_part_can_be_switched_off() -> None:
    crops = Crops.draw(np.random.default_rng(0), 1000, pad=0, flip=False)
    assert not any(drawn.any() for drawn in crops)
    flipped = Crops.draw(np.random.default_rng(0), 1000, pad=0, flip=True)
    assert 400 < flipped.flip_B.sum() < 600
    assert not flipped.top_B.any()


def numbered_images(count: int, size: int = 4) -> ResidentImages:
    """Images whose label is their number."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, size, size), dtype=np.uint8)
    return ResidentImages(pixels, np.arange(count), CPU)


def train_loader(images: ResidentImages, rows: np.ndarray, *overrides: str, steps: int = 1) -> TrainLoader:
    config = load_config("data=fake", "data.image_size=4", "stacks=two", "data.pad=1", *overrides)
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
