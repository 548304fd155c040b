"""Figures show the numbers that they are given: what is drawn is read back from matplotlib."""

import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import norm

from resnet_lab.inspect.figures import spectrum_figure
from resnet_lab.inspect.latent_figures import (
    components_figure,
    correlation_figure,
    distances_figure,
    ellipse_figure,
    map_figure,
    moments_figure,
)
from resnet_lab.inspect.normal import Normal
from resnet_lab.inspect.spectrum import spectra

LATENT = np.random.default_rng(0).normal(size=(400, 5)) @ np.diag([3, 2, 1, 0.5, 0.1]) + 1


def texts(figure: Figure) -> str:
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
    found = [text.get_text() for legend in legends for text in legend.get_texts()]
    return "\n".join(
        [*found, *(ax.get_title() for ax in figure.axes), *(t.get_text() for ax in figure.axes for t in ax.texts)]
    )


def test_the_spectrum_tells_the_wavelength_that_half_of_the_power_is_lost_at():
    images = np.random.default_rng(0).random((20, 1, 16, 16))
    blurred = (images + np.roll(images, 1, 2) + np.roll(images, 1, 3) + np.roll(images, (1, 1), (2, 3))) / 4
    found = {"blurred": spectra(images, blurred), "the same": spectra(images, images)}
    figure = spectrum_figure(found, "title")
    limit = found["blurred"].half_power
    assert limit is not None
    assert f"blurred: −3 dB at a wavelength of {1 / limit:.1f} pixels" in texts(figure)
    assert "the same: −3 dB never" in texts(figure)
    curve = figure.axes[1].lines[0]
    np.testing.assert_allclose(curve.get_ydata(), found["blurred"].ratio_db)


def test_histograms_are_of_the_widest_components_with_their_normal_distributions():
    figure = components_figure(np.tile(LATENT, 4)[:, :14], "title")
    numbers = [int(n) for n in re.findall(r"component (\d+)", texts(figure))]
    assert numbers == [0, 5, 10, 1, 6, 11, 2, 7, 12, 3, 8, 13]
    x, y = figure.axes[0].lines[0].get_data()
    np.testing.assert_allclose(y, norm.pdf(x, LATENT[:, 0].mean(), LATENT[:, 0].std()))
    assert sum(bar.get_height() * bar.get_width() for bar in figure.axes[0].patches) == pytest.approx(1)


def test_normal_components_lie_in_the_band():
    _, second, third = moments_figure(LATENT, "title").axes
    for ax in (second, third):
        low, high = ax.patches[0].get_extents().get_points()[:, 1]
        within = [low < ax.transData.transform((0, y))[1] < high for y in ax.lines[0].get_ydata()]
        assert sum(within) >= 4


def test_the_variance_that_is_kept():
    text = texts(correlation_figure(LATENT, Normal.of(LATENT), "title"))
    assert "90 %: 2 of 5" in text  # (9 + 4) / 14.26 of it
    assert "99 %: 4 of 5" in text


def test_ellipses_hold_their_share_of_normal_vectors():
    shares = re.findall(r"(\d+) %: holds ([\d.]+) %", texts(ellipse_figure(LATENT, Normal.of(LATENT), "title")))
    assert len(shares) == 4 * 3
    for share, held in shares:
        assert float(held) == pytest.approx(float(share), abs=6)


def test_ellipses_of_chosen_pairs():
    axes = ellipse_figure(LATENT, Normal.of(LATENT), "title", pairs=[(3, 1)]).axes
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in axes] == [
        ("component 3", "component 1"),
        ("1st principal axis", "2nd principal axis"),
    ]
    np.testing.assert_array_equal(np.transpose(axes[0].lines[0].get_data()), LATENT[:, [3, 1]])


def test_the_map_has_a_colour_for_each_of_few_groups():
    maps = {"one": LATENT[:, :2], "other": LATENT[:, 2:4]}
    groups = {"even": np.arange(0, 400, 2), "odd": np.arange(1, 400, 2)}
    figure = map_figure(maps, groups, "title")
    even, odd = figure.axes[1].lines
    np.testing.assert_array_equal(np.transpose(even.get_data()), LATENT[::2, 2:4])
    assert even.get_color() != odd.get_color()
    assert texts(figure).startswith("even\nodd")
    many = {str(i): np.array([i]) for i in range(30)}
    [points] = map_figure(maps, many, "title").axes[0].lines
    assert len(points.get_xdata()) == 400


@pytest.mark.parametrize("latent", [LATENT[:, :1], np.concatenate([LATENT, np.ones((400, 1))], axis=1), LATENT[:2]])
def test_unusual_latent_vectors_can_be_drawn(latent: np.ndarray):
    normal = Normal.of(latent)
    for figure in (
        components_figure(latent, "title"),
        moments_figure(latent, "title"),
        distances_figure(latent, normal, latent, "title"),
        correlation_figure(latent, normal, "title"),
    ):
        figure.canvas.draw_idle()
