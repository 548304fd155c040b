"""Figures of the distribution of latent vectors."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import chi, norm

from resnet_lab.inspect.figures import BLUE, RED
from resnet_lab.inspect.latent import Moments, correlations, ellipse, most_correlated, share_within
from resnet_lab.inspect.mosaic import titled_figure
from resnet_lab.inspect.normal import Normal, Numbers

MOST_HISTOGRAMS = 12
MOST_BINS = 40
NUM_PAIRS = 3
SHARES = (0.5, 0.9, 0.99)  # of a normal distribution, within the ellipses
KEPT = (0.9, 0.99)  # of the variance
BAND = 1.96  # standard errors on both sides: 95 % of normal samples
MOST_COLOURS = 20  # groups with a colour of their own
MOST_NUMBERED = 32  # components with their numbers on an axis
GREY = "0.6"


def components_figure(latent_ND: np.ndarray, title: str) -> Figure:
    """Plot histograms of the components with the largest variance, with the normal distributions fitted to them."""
    moments = Moments.of(latent_ND)
    shown = np.argsort(-moments.std, kind="stable")[:MOST_HISTOGRAMS]
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    figure = titled_figure(max(6.0, 3 * columns), 0.8 + 2.1 * rows, title)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for ax, c in zip(panels, shown, strict=False):
        values = latent_ND[:, c]
        ax.hist(values, _edges(values), density=True, color=BLUE, alpha=0.45, label="images")
        _curve(ax, norm(moments.mean[c], max(moments.std[c], 1e-12)).pdf, "normal distribution", RED)
        what = f"component {c}: skewness {moments.skewness[c]:.2f}, kurtosis {moments.kurtosis[c]:+.2f}"
        ax.set_title(what, fontsize="x-small")
        ax.tick_params(labelsize="x-small")
        ax.set_yticks([])
    for ax in list(panels):
        ax.axis("off")
    handles = figure.axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, fontsize="small")
    return figure


def moments_figure(latent_ND: np.ndarray, title: str) -> Figure:
    """Plot mean, standard deviation, skewness and excess kurtosis of all components, by decreasing variance."""
    moments, count = Moments.of(latent_ND), len(latent_ND)
    order = np.argsort(-moments.std, kind="stable")
    figure = titled_figure(13, 3.8, title)
    first, second, third = figure.subplots(1, 3)
    x = np.arange(len(order))
    first.errorbar(x, moments.mean[order], moments.std[order], fmt="o", ms=2.5, lw=0.8, color=BLUE)
    first.set_title("mean ± standard deviation", fontsize="small")
    for ax, values, error, name in (
        (second, moments.skewness, np.sqrt(6 / count), "skewness"),
        (third, moments.kurtosis, np.sqrt(24 / count), "excess kurtosis"),
    ):
        ax.axhspan(-BAND * error, BAND * error, color=GREY, alpha=0.35, lw=0, label="95 % of normal samples")
        ax.plot(x, values[order], "o", ms=3, color=BLUE)
        ax.set_title(name, fontsize="small")
        ax.legend(fontsize="x-small")
    for ax in (first, second, third):
        ax.axhline(0, color="black", lw=0.6)
        if len(order) <= MOST_NUMBERED:
            ax.set_xlabel("component, by decreasing variance")
            ax.set_xticks(x, [str(component) for component in order], fontsize="xx-small")
        else:
            ax.set_xlabel("rank of the component by variance")
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(alpha=0.25)
    return figure


def distances_figure(latent_ND: np.ndarray, normal: Normal, sample_MD: np.ndarray, title: str) -> Figure:
    """Plot distances from the origin, with those of a sample of the fitted normal distribution, and from the mean."""
    dimensions, rank = latent_ND.shape[1], len(normal.std)
    figure = titled_figure(11, 4.2, title)
    left, right = figure.subplots(1, 2)
    own, drawn = np.linalg.norm(latent_ND, axis=1), np.linalg.norm(sample_MD, axis=1)
    edges = _edges(np.concatenate([own, drawn]))
    left.hist(own, edges, density=True, color=BLUE, alpha=0.45, label="images")
    left.hist(drawn, edges, density=True, histtype="step", color=RED, lw=1.3, label="normal, same mean and covariance")
    low, high = left.get_xlim()
    if low < np.sqrt(dimensions) < high:
        _curve(left, chi(dimensions).pdf, f"standard normal, {dimensions} components")
    left.set(xlabel="distance from the origin", ylabel="density")
    far = normal.distances(latent_ND)
    right.hist(far, _edges(far), density=True, color=BLUE, alpha=0.45, label="images")
    _curve(right, chi(rank).pdf, f"normal: chi with {rank} degrees of freedom", RED)
    right.set_xlabel("Mahalanobis distance from the mean (standard deviations)")
    for ax in (left, right):
        ax.legend(fontsize="x-small")
        ax.grid(alpha=0.25)
    return figure


def correlation_figure(latent_ND: np.ndarray, normal: Normal, title: str) -> Figure:
    """Plot the correlation matrix of the components, and the variance along the principal axes."""
    figure = titled_figure(11, 4.6, title)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.2])
    image = left.imshow(correlations(latent_ND), cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    left.set(xlabel="component", ylabel="component")
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    figure.colorbar(image, ax=left, label="correlation", fraction=0.045)
    shares = 100 * normal.variance_shares
    number = np.arange(1, len(shares) + 1)
    right.bar(number, shares, color=BLUE, alpha=0.6, label="along one axis")
    right.plot(number, shares.cumsum(), color=RED, lw=1.3, label="along this and all earlier axes")
    for kept in KEPT:
        needed = int(np.searchsorted(shares.cumsum(), 100 * kept)) + 1
        right.axhline(100 * kept, color=GREY, lw=0.8, ls="--")
        right.annotate(
            f"{100 * kept:.0f} %: {needed} of {latent_ND.shape[1]}",
            (needed, 100 * kept),
            (0, -12),
            textcoords="offset points",
            ha="left",
            fontsize="x-small",
        )
    right.set(xlabel="principal axis", ylabel="share of the variance (%)", ylim=(0, 104))
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.legend(fontsize="x-small", loc="center right")
    right.grid(alpha=0.25)
    return figure


def ellipse_figure(latent_ND: np.ndarray, normal: Normal, title: str, pairs: Sequence[tuple[int, int]] = ()) -> Figure:
    """Plot images in the planes of pairs of components and of the first principal axes, with ellipses.

    The pairs are by default the most correlated ones.
    """
    correlation_DD = correlations(latent_ND)
    planes = [
        (latent_ND[:, [i, j]], f"component {i}", f"component {j}", f"correlation {correlation_DD[i, j]:+.2f}")
        for i, j in pairs or most_correlated(correlation_DD, NUM_PAIRS)
    ]
    if len(normal.std) > 1:
        projected = normal.projected(latent_ND)[:, :2]
        planes.append((projected, "1st principal axis", "2nd principal axis", "largest variance"))
    figure = titled_figure(3.4 * max(2, len(planes)), 4.2, title)
    for ax, (points_N2, x, y, what) in zip(figure.subplots(1, len(planes), squeeze=False)[0], planes, strict=True):
        ax.plot(*points_N2.T, ".", ms=2, color=BLUE, alpha=0.4, rasterized=True)
        for i, share in enumerate(SHARES):
            label = f"{100 * share:.0f} %: holds {100 * share_within(points_N2, share):.1f} %"
            ax.plot(*ellipse(points_N2, share).T, color=RED, lw=1.3, ls=("-", "--", ":")[i], label=label)
        ax.set(xlabel=x, ylabel=y)
        ax.set_title(what, fontsize="small")
        ax.legend(fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.18))
        ax.grid(alpha=0.25)
    return figure


def map_figure(maps: Mapping[str, Numbers], groups: Mapping[str, np.ndarray], title: str) -> Figure:
    """Plot positions of images in a plane (N, 2), by kind of map, coloured by group of indices if there are few."""
    figure = titled_figure(5.4 * len(maps), 5.2, title)
    coloured = groups if len(groups) <= MOST_COLOURS else {}
    colours = _colours(len(coloured))
    for ax, (name, points_N2) in zip(figure.subplots(1, len(maps), squeeze=False)[0], maps.items(), strict=True):
        if not coloured:
            ax.plot(*points_N2.T, ".", ms=3, color=BLUE, alpha=0.5)
        for (group, rows), colour in zip(coloured.items(), colours, strict=True):
            ax.plot(*points_N2[rows].T, ".", ms=3.5, color=colour, alpha=0.8, label=group)
        ax.set(xticks=[], yticks=[])
        ax.set_title(name, fontsize="small")
    if coloured:
        handles = figure.axes[0].get_legend_handles_labels()
        columns = min(10, len(coloured))
        figure.legend(*handles, loc="outside lower center", ncols=columns, markerscale=3, fontsize="small")
    return figure


def _colours(count: int) -> list[tuple[float, ...]]:
    return [colormaps["tab10" if count <= 10 else "tab20"](i) for i in range(count)]


def _edges(values_N: np.ndarray) -> Numbers:
    """Return the edges of the bins of a histogram, fewer for few values; also of equal ones."""
    low, high = float(values_N.min()), float(values_N.max())
    least = 1e-3 * max(abs(low), abs(high), 1e-9)
    return np.linspace(low, max(high, low + least), min(MOST_BINS, 2 + int(np.sqrt(len(values_N)))) + 1)


def _curve(ax: Axes, density: Callable[[Numbers], Numbers], label: str, colour: str = "black") -> None:
    low, high = ax.get_xlim()
    x = np.linspace(low, high, 300)
    ax.plot(x, density(x), color=colour, lw=1.3, label=label)
