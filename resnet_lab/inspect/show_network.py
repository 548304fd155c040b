"""Parts of the page about the network itself: signal flow, weights and feature maps."""

from collections.abc import Iterator

import numpy as np

from resnet_lab.inspect.context import InspectContext
from resnet_lab.inspect.figures import flow_figure, histogram_figure
from resnet_lab.inspect.filters import first_filters, weight_histograms
from resnet_lab.inspect.flow import flow
from resnet_lab.inspect.maps import by_strength, feature_maps
from resnet_lab.inspect.mosaic import sheet
from resnet_lab.inspect.replica import stages
from resnet_lab.inspect.shown import Shown

FLOW_IMAGES = 64
MOST_MAPS = 128


def show_flow(context: InspectContext) -> Iterator[Shown]:
    """Gradient flow."""
    images, labels = context.images[:FLOW_IMAGES], context.labels[:FLOW_IMAGES]
    nets = {"trained": context.net, "initialised": context.untrained()}
    if context.config.model.shortcut != "none" or context.config.model.stack_shortcut:
        nets["plain (no shortcuts), initialised"] = context.untrained(plain=True)
    nets |= dict(context.compared)
    flows = {label: flow(net, context.task, images, labels) for label, net in nets.items()}
    yield Shown(
        "flow",
        flow_figure(flows, f"{context.name}: signal flow through {len(flows['trained'].names)} parts"),
        f"One mini-batch of {len(images)} {context.part} images, forward and backward, with BatchNorm as in training; "
        "one dot per part: stem, units, head. If gradients vanish, the first two panels fall towards the stem.",
    )


def show_filters(context: InspectContext) -> Iterator[Shown]:
    """First-layer filters and weights."""
    filters = first_filters(context.net)
    count, channels = filters.shape[:2]
    tiles = filters.reshape(-1, *filters.shape[2:])
    captions = [str(f) if channels == 1 else f"{f}.{c}" for f in range(count) for c in range(channels)]
    title = f"{context.name}: the {count} filters of the first layer"
    if channels > 1:
        title += f", for each of the {channels} channels"
    yield Shown(
        "filters",
        sheet(tiles, captions, title, "weight", "RdBu_r", symmetric=True),
        "The first convolution's kernels, by number (and channel); red weights are positive.",
    )
    yield Shown(
        "weights",
        histogram_figure(weight_histograms(context.net), f"{context.name}: weights by stack"),
        "Weights of all convolutions and linear layers, without BatchNorm.",
    )


def show_maps(context: InspectContext) -> Iterator[Shown]:
    """Feature maps."""
    count = len(context.chosen) if context.choices.images else 1
    for i, image in enumerate(context.chosen[:count]):
        for name in context.choices.layers or stages(context.net):
            maps = feature_maps(context.net, image[None], name)[0]
            order = np.array(context.choices.maps or by_strength(maps)[:MOST_MAPS])
            size = f"{maps.shape[1]}×{maps.shape[2]}"
            title = (
                f"{context.name}: {len(order)} of {len(maps)} maps of {name}, {size}; image {context.chosen_names[i]}"
            )
            yield Shown(
                f"maps-{i}-{name}",
                sheet(maps[order], [str(m) for m in order], title, "activation", "viridis", symmetric=False),
                "The strongest maps (by root mean square) first, each below its number. All share one colour scale."
                + (" Taken after the last activation: what the head averages." if name == "innermost" else ""),
            )
