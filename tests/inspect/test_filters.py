import numpy as np
import pytest
from support.scene import build
from torch import nn

from resnet_lab.inspect.filters import filter_pictures, first_filters, weight_histograms


def test_first_filters():
    net = build("data.channels=4", "stem=imagenet")
    filters = first_filters(net)
    assert filters.shape == (64, 4, 7, 7)
    assert filters[5, 3, 2, 1] == net.stem.conv.weight[5, 3, 2, 1].item()


@pytest.mark.parametrize("head", ["linear", "latent"])
def test_histograms_equal_numpys(head: str):
    net = build(f"head={head}", "bridges=stack")
    found = weight_histograms(net)
    assert list(found) == ["stem", "stacks.0", "stacks.1", "head"]
    for name, group in (("stacks.1", net.stacks[1]), ("head", net.head)):
        layers = [m for m in group.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        weights = np.concatenate([m.weight.detach().numpy().ravel() for m in layers])
        counts, edges = np.histogram(weights, bins=len(found[name].counts))
        assert found[name].counts.sum() == len(weights)
        assert np.abs(found[name].counts - counts).sum() <= 0.002 * len(weights)  # rounding at edges
        np.testing.assert_allclose(found[name].edges, edges, rtol=1e-5)
        assert found[name].total == pytest.approx(weights.sum(), rel=1e-3, abs=1e-3)
        assert found[name].square == pytest.approx((weights**2).sum(), rel=1e-4)


def test_a_head_without_weights_has_no_histogram():
    net = build()
    net.head.classifier = nn.Identity()
    assert "head" not in weight_histograms(net)


@pytest.mark.parametrize(("channels", "shape"), [(1, (16, 1)), (2, (32, 1)), (3, (16, 3)), (4, (64, 1))])
def test_pictures_of_filters(channels: int, shape: tuple[int, int]):
    net = build(f"data.channels={channels}")
    pictures = filter_pictures(net, enlarge=4)
    assert pictures.shape == (*shape, 14, 14)
    inside = pictures[:, :, 1:-1, 1:-1]
    weights = first_filters(net).reshape(*shape, 3, 3)
    np.testing.assert_allclose(inside[:, :, ::4, ::4], 0.5 + 0.5 * weights / np.abs(weights).max(), rtol=1e-5)
