"""Every function takes every network that can be configured."""

from collections.abc import Callable

import numpy as np
import pytest
from support.scene import PLAIN_BOUNDS, TASK, some_images

from resnet_lab.config.groups import ARCHITECTURE_GROUPS, options
from resnet_lab.inspect.filters import first_filters, weight_histograms
from resnet_lab.inspect.flow import flow
from resnet_lab.inspect.inversion import invert
from resnet_lab.inspect.maps import feature_maps
from resnet_lab.inspect.mistakes import mistakes
from resnet_lab.inspect.patterns import Search, maximise
from resnet_lab.inspect.pixel_range import PixelRange
from resnet_lab.inspect.replica import layer_names
from resnet_lab.inspect.saliency import integrated_gradients, occlusion
from resnet_lab.model.resnet import ResNetV2

pytestmark = pytest.mark.slow

COMPANIONS = {
    "unit=basic": ("bottleneck=none",),
    "unit=triple": ("bottleneck=none",),
    "unit=series": ("bottleneck=none",),
    "unit=conv": ("bottleneck=none", "shortcut=none"),
    "norm=group": ("model.norm_groups=4",),
    "cardinality=c32_4": ("bottleneck=none",),
    "cardinality=c8_14": ("bottleneck=none",),
    "bottleneck=atienza": ("stacks=three",),
    "filters=64-128-128": ("stacks=three",),
}
GROUPS = [group for group in ARCHITECTURE_GROUPS if group != "units"]  # which is only how many
CHOICES = [
    (f"{group}={option}", *COMPANIONS.get(f"{group}={option}", ())) for group in GROUPS for option in options(group)
]
CHOICES += [("norm=none",), ("data.channels=1",), ("data.channels=2",), ("data.channels=4",)]
CHOICES += [("shortcut=none",), ("data.num_classes=2",)]


@pytest.mark.parametrize("choice", CHOICES, ids=",".join)
def test_look_at(choice: tuple[str, ...], untouched: Callable[..., ResNetV2]):
    net = untouched("units=n1", *choice)
    images, labels = some_images(net, 2)
    channels = net.config.in_channels
    pixel_range = PixelRange(PLAIN_BOUNDS.low.expand(channels, 1, 1), PLAIN_BOUNDS.high.expand(channels, 1, 1))
    assert np.isfinite(flow(net, TASK, images, labels).std).all()
    assert first_filters(net).shape[1] == channels
    assert len(weight_histograms(net)) >= net.config.num_stacks + 1
    for name in layer_names(net):
        assert feature_maps(net, images, name).ndim == 4
    for name in ("stacks.0.units.0", "innermost"):
        assert np.isfinite(maximise(net, name, [0], (channels, 16, 16), pixel_range, Search(steps=2)).images).all()
        assert np.isfinite(invert(net, name, images, pixel_range, steps=2)).all()
    assert integrated_gradients(net, images, labels).shape == images.shape
    assert occlusion(net, images, labels).shape == (2, 16, 16)
    assert mistakes(net, images, labels).confusion.sum() == 2
