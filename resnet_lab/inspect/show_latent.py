"""A part of the page for autoencoders: the distribution of latent vectors."""

from collections.abc import Iterator

import numpy as np

from resnet_lab.inspect import sampling
from resnet_lab.inspect.autoencoding import encoded
from resnet_lab.inspect.context import InspectContext
from resnet_lab.inspect.figures import Shown
from resnet_lab.inspect.latent import MOST_MAPPED, active_units, mardia, tsne_map
from resnet_lab.inspect.latent_figures import (
    components_figure,
    correlation_figure,
    distances_figure,
    ellipse_figure,
    map_figure,
    moments_figure,
)
from resnet_lab.inspect.normal import Normal

MANY_COMPONENTS, FEW_IMAGES = 1024, 1000  # with more components, statistics are of fewer images, to save time
FEWEST_MAPPED = 5  # images of t-SNE


def show_latent(context: InspectContext) -> Iterator[Shown]:
    """Latent space: the distribution of the encoder's vectors."""
    latent_ND = few(encoded(context.net, context.images))
    normal, test = Normal.of(latent_ND), mardia(latent_ND)
    count, dimensions = latent_ND.shape
    title = f"{context.name}: latent vectors of {count:,} {context.part} images, {dimensions} components"
    active = int(active_units(latent_ND).sum())
    yield Shown(
        "latent-components",
        components_figure(latent_ND, title),
        f"The components that vary most. {active} of {dimensions} vary by more than 0.1 (active units); they span "
        f"{test.dimensions} dimensions.",
    )
    yield Shown(
        "latent-moments",
        moments_figure(latent_ND, title),
        "Skewness and excess kurtosis are 0 for a normal distribution; kurtosis is positive with heavy tails, and "
        f"negative with none. {_tested(test.skewness_p, test.kurtosis_p)} Mardia's multivariate kurtosis is "
        f"{test.relative_kurtosis:.2f} times that of a normal distribution.",
    )
    drawn = sampling.inside(normal, count, context.choices.seed, share=1.0)
    yield Shown(
        "latent-distances",
        distances_figure(latent_ND, normal, drawn, title),
        "Left: how far images lie from the origin. Right: from their mean, with each principal axis scaled to "
        "standard deviation 1. In many dimensions, normal vectors lie in a thin shell around their mean.",
    )
    if dimensions == 1:
        return
    yield Shown(
        "latent-correlations",
        correlation_figure(latent_ND, normal, title),
        "Left: components that are strongly red or blue together say the same. Right: the axes that matter.",
    )
    yield Shown(
        "latent-ellipses",
        ellipse_figure(latent_ND, normal, title, context.choices.pairs),
        f"{'Pairs' if context.choices.pairs else 'The most correlated pairs'} of components, and the principal axes. "
        "If images were normally distributed, each ellipse would hold the share of them that its label begins with.",
    )
    if len(normal.std) > 1 and count >= FEWEST_MAPPED:
        mapped_MD = latent_ND[:MOST_MAPPED]
        maps = {
            "first two principal axes": normal.projected(mapped_MD)[:, :2],
            "t-SNE": tsne_map(mapped_MD, context.choices.seed),
        }
        labels = context.labels[: len(mapped_MD)].cpu().numpy()
        groups = context.task.by_class(labels, context.classes)
        yield Shown(
            "latent-map",
            map_figure(maps, groups, f"{title}: {len(mapped_MD):,} of them in a plane"),
            "t-SNE keeps neighbours together; distances between groups and their sizes say little. "
            "The network was not told the classes.",
        )


def few(latent: np.ndarray) -> np.ndarray:
    """Return latent vectors as (N, D), of fewer images if they have many components."""
    latent_ND = latent.reshape(len(latent), -1)
    return latent_ND if latent_ND.shape[1] <= MANY_COMPONENTS else latent_ND[:FEW_IMAGES]


def _tested(skewness_p: float, kurtosis_p: float) -> str:
    if np.isnan(skewness_p):
        return "There are too few images to test for a multivariate normal distribution."
    by_skewness, by_kurtosis = (f"p {'< 0.0001' if p < 0.0001 else f'= {p:.2g}'}" for p in (skewness_p, kurtosis_p))
    return f"Mardia's tests for a multivariate normal distribution: {by_skewness} (skewness), {by_kurtosis} (kurtosis)."
