from __future__ import annotations

import numpy as np
import pytest
from scene import build
from torch import nn

from resnet_lab.inspect.filters import first_filters, weight_histograms


def test_first_filters():
    net = build("data.channels=4", "stem=imagenet")
    filters = first_filters(net)
    assert filters.shape == (64, 4, 7, 7)
    assert filters[5, 3, 2, 1] == net.stem.conv.weight[5, 3, 2, 1].item()


@pytest.mark.parametrize("head", ["linear", "latent"])
def test_histograms_equal_numpys(head: str):
    net = build(f"head={head}", "stack_shortcut=on")
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
    assert "head" not in weight_histograms(build("model.head.classifier=false"))
