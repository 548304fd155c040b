import numpy as np
import pytest
from scipy.stats import chi, kstest

from resnet_lab.inspect import sampling
from resnet_lab.inspect.normal import Normal

LATENT = np.random.default_rng(0).normal(size=(500, 4)) * [3, 2, 1, 0.1] + [1, 0, 0, 5]
NORMAL = Normal.of(LATENT)


def test_samples_inside_follow_the_normal_within_its_ellipsoid():
    drawn = sampling.inside(NORMAL, 20_000, seed=0)
    radius = chi.ppf(0.95, 4)
    distance = NORMAL.distances(drawn)
    assert distance.max() <= radius
    assert kstest(distance, lambda x: chi.cdf(x, 4) / 0.95).pvalue > 0.001
    np.testing.assert_allclose(drawn.mean(axis=0), NORMAL.mean, atol=0.1)
    whole = sampling.inside(NORMAL, 20_000, seed=0, share=1.0)
    np.testing.assert_allclose(np.cov(whole.T), np.cov(LATENT.T), atol=0.15)


def test_samples_outside_have_the_asked_radius_and_the_directions_of_those_inside():
    drawn = sampling.outside(NORMAL, 10, seed=3, times=2)
    np.testing.assert_allclose(NORMAL.distances(drawn), 2 * chi.ppf(0.95, 4))
    near = NORMAL.whitened(sampling.inside(NORMAL, 10, seed=3))
    cosine = (near * NORMAL.whitened(drawn)).sum(axis=1) / (NORMAL.distances(drawn) * np.linalg.norm(near, axis=1))
    np.testing.assert_allclose(cosine, 1)


def test_drawing_is_reproducible():
    for draw in (lambda seed: sampling.inside(NORMAL, 5, seed), lambda seed: sampling.standard(5, 4, seed)):
        np.testing.assert_array_equal(draw(1), draw(1))
        assert (draw(1) != draw(2)).all()
    assert sampling.standard(50_000, 2, 0).std(axis=0) == pytest.approx([1, 1], abs=0.02)


def test_points_along_an_axis_are_standard_deviations_apart():
    points = sampling.along_axis(NORMAL, 1, [-3, 0, 3])
    expected = np.zeros((3, 4))
    expected[:, 1] = [-3, 0, 3]
    np.testing.assert_allclose(NORMAL.whitened(points), expected, atol=1e-9)


def test_the_line_between_two_images_has_both_ends():
    points = sampling.between(LATENT[0], LATENT[1], 5)
    np.testing.assert_allclose(points[[0, 4]], LATENT[:2])
    np.testing.assert_allclose(points[2], LATENT[:2].mean(axis=0))


def test_the_direction_of_an_attribute_takes_it_to_those_that_have_it():
    has = LATENT[:, 2] > 0
    direction = sampling.direction(LATENT, has)
    steps = sampling.along_direction(LATENT[~has].mean(axis=0), direction, [0, 1])
    np.testing.assert_allclose(steps, [LATENT[~has].mean(axis=0), LATENT[has].mean(axis=0)])
