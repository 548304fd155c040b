from collections.abc import Callable

import numpy as np
import pytest
import torch
from support.scene import PLAIN_BOUNDS, Run, build
from torch import Tensor

from resnet_lab.inspect.maps import reactions
from resnet_lab.inspect.patterns import Search, maximise, multiscale_noise
from resnet_lab.inspect.replica import stages
from resnet_lab.model.resnet import ResNetV2

GRID = torch.arange(-4, 5).float()
Y, X = GRID[:, None], GRID[None, :]
KNOWN = {
    "gabor": torch.exp(-(X**2 + Y**2) / 8) * torch.cos(1.6 * (X + 0.5 * Y)),
    "edge": torch.sign(X + 0.3 * Y) * torch.exp(-(X**2 + Y**2) / 12),
    "blob": torch.exp(-(X**2 + Y**2) / 6) - 0.2,
}


def known_network() -> ResNetV2:
    """The first maps of its stem are known filters, which see windows that do not overlap."""
    net = build("model.stem.kernel=9", "model.stem.stride=9", "data.channels=1")
    with torch.no_grad():
        for number, pattern in enumerate(KNOWN.values()):
            net.stem.conv.weight[number, 0] = pattern / pattern.norm()
        net.stem.activation.norm.reset_running_stats()
    return net


@pytest.mark.parametrize("number", range(len(KNOWN)), ids=list(KNOWN))
def test_the_pattern_of_a_known_filter_is_the_filter(number: int):
    wanted = list(KNOWN.values())[number]
    search = Search(contrast=0.3)  # of the whole picture: its few pixels that matter shall not leave the range
    found = maximise(known_network(), "stem", [number], (1, 18, 18), PLAIN_BOUNDS, search)
    window = found.images[0, 0, 5:14, 5:14]  # the one that lies in the image as a whole
    assert np.corrcoef(window.ravel(), wanted.numpy().ravel())[0, 1] > 0.9


@pytest.mark.slow
def test_patterns_excite_their_maps_more_than_any_image(trained: Run):
    images = trained.images
    search = Search(contrast=float(images.square().mean(dim=(1, 2, 3)).sqrt().max()))  # no advantage in contrast
    for name in stages(trained.net):
        strongest = reactions(trained.net, images, name).max(axis=0)
        maps = [int(number) for number in np.flatnonzero(strongest > 0)][:8]
        found = maximise(trained.net, name, maps, trained.config.data.image_shape, trained.pixel_range, search)
        assert (found.reached > strongest[maps]).all(), name
        again = reactions(trained.net, torch.from_numpy(found.images), name)
        np.testing.assert_allclose(again[range(len(maps)), maps], found.reached, rtol=1e-4)


def test_patterns_are_reproducible_and_follow_the_seed(untouched: Callable[..., ResNetV2]):
    net = untouched()

    def find(seed: int) -> np.ndarray:
        return maximise(net, "stacks.1", [3, 5], (3, 16, 16), PLAIN_BOUNDS, Search(steps=20, seed=seed)).images

    np.testing.assert_array_equal(find(0), find(0))
    assert not np.array_equal(find(0), find(1))


def test_patterns_stay_within_contrast_and_range(trained: Run):
    found = maximise(
        trained.net, "innermost", [0, 1, 2], (1, 8, 8), trained.pixel_range, Search(steps=30, contrast=0.7)
    )
    images = torch.from_numpy(found.images)
    assert images.square().mean(dim=(1, 2, 3)).sqrt().max() <= 0.7 + 1e-5
    assert torch.equal(trained.pixel_range.clamp(images), images)


def test_noise_has_grains_of_every_size():
    noise = multiscale_noise((1, 64, 64), torch.Generator().manual_seed(0))
    assert len(noise) == 3  # 1, 4 and 16 pixels

    def roughness(picture: Tensor) -> float:
        return float((picture[:, 1:] - picture[:, :-1]).square().mean())

    values = [roughness(picture[0]) for picture in noise]
    assert values == sorted(values, reverse=True)
    torch.testing.assert_close(noise.std(dim=(1, 2, 3), correction=0), torch.ones(3))


def test_the_range_is_that_of_pixels(trained: Run):
    black, white = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    pixel_range = trained.pixel_range
    assert torch.equal(pixel_range.pixels(pixel_range.low.expand(1, 1, 8, 8)), black)
    assert torch.equal(pixel_range.pixels(pixel_range.high.expand(1, 1, 8, 8)), white)
    pixels = pixel_range.pixels(trained.images)
    assert pixels.max() == 1
    assert torch.allclose(pixels * 255, (pixels * 255).round(), atol=1e-3)
