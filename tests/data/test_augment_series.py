"""Augmentations of series: each equals its definition, series by series, and changes nothing else."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy import stats
from support.augmenting import OF_SERIES, OPTIONS, SERIES, applied, curves, only
from support.composing import config as load_config
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.augment import Augmentation
from resnet_lab.data.images import Normalisation
from resnet_lab.data.loader import TrainLoader
from resnet_lab.data.sources import Images
from resnet_lab.data.stores import OnDevice

LENGTH = 32
SAME = Normalisation((0.0,) * 3, (1.0,) * 3)


def of_series(choice: str, *overrides: str) -> Augmentation:
    return only(choice, *SERIES, *overrides)


def one_by_one(choice: str, *overrides: str, count: int = 40) -> Iterator[tuple[np.ndarray, np.ndarray, list[float]]]:
    """Each series (3, 32), what became of it, and what was drawn for it."""
    augmentation, series, labels = of_series(choice, *overrides), curves(count), torch.arange(count)
    drawn = augmentation.draw(np.random.default_rng(4), count)
    changed, same = augmentation.apply(series, labels, *drawn)
    assert torch.equal(same, labels)
    for before, after, *numbers in zip(series, changed, *drawn, strict=True):
        yield before.numpy(), after.numpy(), [number.tolist() for number in numbers]


def at(series_CL: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Values between positions; those of the ends beyond them. The first position is at a half."""
    return np.stack([np.interp(moments, np.arange(len(channel)) + 0.5, channel) for channel in series_CL])


@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_a_crop_is_a_shift(padding: str) -> None:
    for before, after, [offset] in one_by_one("crop", "augment.crop.pad=5", f"augment.crop.padding={padding}"):
        mode = {"zero": "constant"}.get(padding, padding)
        padded = F.pad(torch.from_numpy(before), (5, 5), mode=mode)
        assert torch.equal(padded[:, offset : offset + LENGTH], torch.from_numpy(after))


@pytest.mark.parametrize("share", [0.9, 0.25])
def test_a_slice_is_stretched_to_the_whole_length(share: float) -> None:
    starts = []
    for before, after, [start] in one_by_one("slice", f"augment.slice.share={share}"):
        window = start + (np.arange(LENGTH) + 0.5) / LENGTH * (share * LENGTH)
        np.testing.assert_allclose(after, at(before, window), atol=2e-5)
        starts.append(start)
    assert 0 <= min(starts) < max(starts) <= LENGTH * (1 - share)
    assert stats.kstest(np.array(starts) / (LENGTH * (1 - share)), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("factors", ["[0.5,2]", "[3]"])
def test_a_warped_series_is_its_three_parts_one_after_the_other(factors: str) -> None:
    """The middle one at its own pace, and the whole then of the former length."""
    part = 0.25 * LENGTH
    settings = ("augment.warp.share=0.25", f"augment.warp.factors={factors}")
    for before, after, [start, factor] in one_by_one("warp", *settings):
        lengths = np.array([start, part * factor, LENGTH - start - part])
        warped = np.concatenate(([0.0], lengths.cumsum()))
        source = np.array([0.0, start, start + part, LENGTH])
        moments = np.interp((np.arange(LENGTH) + 0.5) / LENGTH * warped[-1], warped, source)
        np.testing.assert_allclose(after, at(before, moments), atol=2e-4)
        assert factor in (0.5, 2, 3)


def test_warps_are_as_frequent_as_asked_and_each_factor_as_others() -> None:
    warp = of_series("warp", "augment.warp.p=0.6")
    _, factor = warp.draw(np.random.default_rng(0), 10_000)
    counts = [int((factor == value).sum()) for value in (1, 0.5, 2)]
    assert stats.chisquare(counts, [4000, 3000, 3000]).pvalue > 1e-3
    ramp = torch.arange(32.0).expand(10_000, 3, 32)
    changed, _ = applied(warp, ramp)
    assert torch.equal((changed != ramp).flatten(1).any(dim=1), factor != 1)


def test_channels_get_amplitudes_of_their_own() -> None:
    ratios = []
    for before, after, [factors] in one_by_one("scale", "augment.scale.std=0.2", count=400):
        np.testing.assert_allclose(after, before * np.array(factors, dtype=np.float32)[:, None], rtol=1e-6)
        ratios.append(factors)
    assert np.mean(ratios) == pytest.approx(1, abs=0.03)
    assert np.std(ratios) == pytest.approx(0.2, abs=0.02)
    assert abs(np.corrcoef(np.array(ratios).T)[0, 1]) < 0.2


def test_noise_is_normal_and_other_noise_everywhere() -> None:
    noise = np.stack([after - before for before, after, _ in one_by_one("gaussian", "augment.gaussian.std=0.5")])
    assert stats.kstest(noise.ravel() / 0.5, "norm").pvalue > 1e-3
    assert max(abs(np.corrcoef(a, b)[0, 1]) for a, b in itertools.combinations(noise.reshape(40, -1), 2)) < 0.5
    assert len(np.unique(noise.round(6))) > 0.98 * noise.size


@pytest.mark.parametrize("choice", OF_SERIES)
def test_type_and_group_do_not_matter(choice: str) -> None:
    augmentation, series, labels = of_series(choice), curves(16), torch.arange(16) % 10
    changed, targets = applied(augmentation, series, labels)
    assert (changed.dtype, changed.shape) == (series.dtype, series.shape)
    assert targets.shape == ((16, 10) if choice == "mixup" else (16,))
    assert ((changed != series).flatten(1).any(dim=1)).float().mean() > 0.8
    double, _ = applied(augmentation, series.double(), labels)
    assert double.dtype == torch.float64
    assert torch.allclose(double, changed.double(), atol=1e-5)


def batches(steps: int, choice: str, epoch: int) -> list[tuple[Tensor, Tensor]]:
    config = load_config(*SERIES, f"augment=[none,{choice}]", "optim.batch_size=16")
    loader = TrainLoader(
        OnDevice(Images(curves(40).numpy(), np.arange(40) % 10), torch.device("cpu")),
        np.arange(40),
        SAME,
        config,
        steps,
    )
    loader.set_epoch(epoch)
    return [*loader]


@pytest.mark.parametrize("choice", [*OF_SERIES, "crop,slice,warp,scale,gaussian,mixup"])
def test_batches_are_the_same_however_many_a_call_has(choice: str) -> None:
    for epoch in (1, 0):
        for one, three in zip(*(zip(*batches(steps, choice, epoch), strict=True) for steps in (1, 3)), strict=True):
            assert torch.equal(torch.cat(one), torch.cat(three))


@pytest.mark.parametrize("choice", [option for option in OPTIONS if option not in OF_SERIES])
def test_augmentations_of_images_are_refused(choice: str) -> None:
    with pytest.raises(ConfigError, match=rf"^augment\.{choice} is for images, but data=fake has series: leave it off"):
        of_series(choice)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["augment=slice"], "augment.slice is for series, but data=cifar10 has images: leave it off"),
        (["augment.slice.share=0"], "augment.slice.share must be above 0 and at most 1, got 0.0"),
        (["augment.warp.share=2"], "augment.warp.share must be above 0 and at most 1, got 2.0"),
        (["augment.warp.p=2"], "augment.warp.p must be a probability in [0, 1], got 2.0"),
        (["augment.warp.factors=[]"], "augment.warp.factors must be numbers from 0.01 to 100, as in [0.5,2], got []"),
        (["augment.warp.factors=[0,1]"], "augment.warp.factors must be numbers from 0.01 to 100"),
        (["augment.gaussian.std=-1"], "augment.gaussian.std must be at least 0, got -1.0"),
        (["augment.scale.std=nan"], "augment.scale.std must be"),
        (
            [*SERIES, "augment.crop.pad=40", "augment=[none,reflect]"],
            "augment.crop.padding=reflect mirrors at most 31 positions",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_message(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config("data=cifar10", *overrides)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)
