"""Filters of the first layer, and weight histograms by stack."""

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure

from resnet_lab.inspect.mosaic import sheet
from resnet_lab.inspect.replica import sections
from resnet_lab.model.dimensions import CONVOLUTIONS
from resnet_lab.model.resnet import ResNetV2

NUM_BINS = 64


@dataclass(frozen=True, slots=True)
class Histogram:
    """Weights of convolutions and linear layers; bin i spans edges[i] to edges[i + 1]."""

    edges: np.ndarray  # (bins + 1,)
    counts: np.ndarray  # (bins,)
    total: float
    square: float


def first_filters(net: ResNetV2) -> np.ndarray:
    """Return the weights of the first convolution, (filters, channels, k, k), or (filters, channels, k) for series."""
    first = next(module for module in net.modules() if isinstance(module, tuple(CONVOLUTIONS.values())))
    return first.get_parameter("weight").detach().float().cpu().numpy()


def weight_histograms(net: ResNetV2) -> dict[str, Histogram]:
    """Return the histograms of stem, stacks and head, and of a decoder. Synchronises with the device once."""
    rows = {}
    for name, group in sections(net).items():
        weights = [p.detach().float().flatten() for p in group.parameters() if p.ndim > 1]
        if not weights:
            continue
        flat = torch.cat(weights)
        low, high = flat.aminmax()
        place = ((flat - low) / (high - low).clamp(min=1e-12) * NUM_BINS).long().clamp(0, NUM_BINS - 1)
        sums = torch.stack([low, high, flat.sum(), flat.square().sum()]).double()
        rows[name] = torch.cat([sums, torch.bincount(place, minlength=NUM_BINS).double()])
    table = torch.stack(list(rows.values())).cpu().numpy()
    return {
        name: Histogram(np.linspace(low, high, NUM_BINS + 1), np.array(counts), total, square)
        for name, (low, high, total, square, *counts) in zip(rows, table, strict=True)
    }


def filters_figure(net: ResNetV2, title: str) -> Figure:
    """Draw all first-layer filters: a tile for each filter and channel."""
    filters = first_filters(net)
    count, channels = filters.shape[:2]
    captions = [str(f) if channels == 1 else f"{f}.{c}" for f in range(count) for c in range(channels)]
    tiles = filters.reshape(-1, *filters.shape[2:])
    return sheet(tiles, captions, title, "weight", "RdBu_r", symmetric=True)


def filter_pictures(net: ResNetV2, enlarge: int = 8) -> np.ndarray:
    """Return first-layer filters as images in 0…1, (N, 1 or 3, H, W), with a white frame; weight 0 becomes 0.5.

    Unless the network has 1 or 3 input channels, there is a grey image for each filter and channel.
    """
    weights = first_filters(net)
    pictures = weights if weights.shape[1] in (1, 3) else weights.reshape(-1, 1, *weights.shape[2:])
    grey = 0.5 + 0.5 * pictures / max(float(np.abs(pictures).max()), 1e-12)
    large = grey.repeat(enlarge, axis=2).repeat(enlarge, axis=3)
    return np.pad(large, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=1.0)
