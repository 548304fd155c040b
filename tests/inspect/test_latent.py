import numpy as np
import pytest
from scipy.stats import chi2, kstest

from resnet_lab.inspect.latent import (
    Moments,
    active_units,
    correlations,
    ellipse,
    mardia,
    most_correlated,
    share_within,
    tsne_map,
)
from resnet_lab.inspect.normal import Normal

MIXING = np.array([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [-0.3, 0.2, 0.1]])


def normal_sample(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3)) @ MIXING.T + [1.0, -2.0, 3.0]


def test_the_fitted_normal_is_that_of_the_sample():
    latent = normal_sample(20_000)
    normal = Normal.of(latent)
    np.testing.assert_allclose(normal.mean, [1, -2, 3], atol=0.05)
    covariance = normal.axes.T @ np.diag(normal.std**2) @ normal.axes
    np.testing.assert_allclose(covariance, np.cov(latent.T, bias=True), atol=1e-10)
    np.testing.assert_allclose(covariance, MIXING @ MIXING.T, atol=0.1)
    assert (np.diff(normal.std) < 0).all()
    np.testing.assert_allclose(normal.placed(normal.whitened(latent)), latent)
    np.testing.assert_allclose(np.cov(normal.whitened(latent).T, bias=True), np.eye(3), atol=1e-9)


def test_distances_from_the_mean_are_those_of_mahalanobis():
    latent = normal_sample(50)
    centred = latent - latent.mean(axis=0)
    expected = np.sqrt(np.einsum("ni,ij,nj->n", centred, np.linalg.inv(np.cov(latent.T, bias=True)), centred))
    np.testing.assert_allclose(Normal.of(latent).distances(latent), expected)


def test_components_that_do_not_vary_or_repeat_others_have_no_axis():
    latent = normal_sample(100)
    wide = np.concatenate([latent, latent[:, :1], np.full((100, 1), 7.0)], axis=1)
    normal = Normal.of(wide)
    assert normal.axes.shape == (3, 5)
    np.testing.assert_allclose(normal.distances(wide), Normal.of(latent).distances(latent))
    assert Normal.of(normal_sample(3)).axes.shape == (2, 3)  # three points span a plane


def test_moments_are_those_of_known_distributions():
    generator = np.random.default_rng(0)
    drawn = [generator.normal(2, 3, 100_000), generator.exponential(1, 100_000), generator.uniform(0, 1, 100_000)]
    found = Moments.of(np.stack([*drawn, np.ones(100_000)], axis=1))
    np.testing.assert_allclose(found.mean, [2, 1, 0.5, 1], atol=0.05)
    np.testing.assert_allclose(found.std, [3, 1, 12**-0.5, 0], atol=0.05)
    np.testing.assert_allclose(found.skewness[:3], [0, 2, 0], atol=0.15)
    np.testing.assert_allclose(found.kurtosis[[0, 2]], [0, -1.2], atol=0.1)
    assert found.kurtosis[1] == pytest.approx(6, rel=0.15)
    assert np.isnan([found.skewness[3], found.kurtosis[3]]).all()


def test_mardias_numbers_are_the_double_sums_of_their_definition(monkeypatch: pytest.MonkeyPatch):
    latent = np.random.default_rng(0).exponential(size=(23, 3))
    centred, inverse = latent - latent.mean(axis=0), np.linalg.inv(np.cov(latent.T, bias=True))
    skewness = np.mean([[(x @ inverse @ y) ** 3 for y in centred] for x in centred])
    kurtosis = np.mean([(x @ inverse @ x) ** 2 for x in centred])
    monkeypatch.setattr("resnet_lab.inspect.latent.CHUNK", 5)
    found = mardia(latent)
    assert (found.dimensions, found.skewness, found.kurtosis) == (3, pytest.approx(skewness), pytest.approx(kurtosis))
    # In the limit of many vectors, the tests are those of 1970.
    many = normal_sample(3000)
    found = mardia(many)
    assert found.skewness_p == pytest.approx(chi2.sf(3000 * found.skewness / 6, 10), abs=0.01)


def test_mardias_p_values_are_uniform_for_normal_vectors():
    found = [mardia(normal_sample(100, seed)) for seed in range(300)]
    assert kstest([each.skewness_p for each in found], "uniform").pvalue > 0.001
    # The kurtosis of 100 vectors is itself a little skewed: its tail probabilities are right to some percent.
    assert np.mean([each.kurtosis_p < 0.05 for each in found]) == pytest.approx(0.05, abs=0.03)


def test_mardia_finds_what_is_not_normal():
    generator = np.random.default_rng(0)
    skewed = mardia(generator.exponential(size=(200, 3)))
    assert max(skewed.skewness_p, skewed.kurtosis_p) < 1e-6
    scale = np.sqrt(5 / generator.chisquare(5, size=(2000, 1)))
    tails = mardia(generator.normal(size=(2000, 3)) * scale)  # Student's t
    assert tails.kurtosis_p < 1e-6
    assert tails.relative_kurtosis > 1.3
    few = mardia(normal_sample(4))
    assert np.isnan([few.skewness_p, few.kurtosis_p]).all()


def test_active_units_and_correlations():
    generator = np.random.default_rng(0)
    one, other = generator.normal(size=(2, 5000))
    latent = np.stack([one, 0.05 * other, -one + 0.5 * other, np.full(5000, 3.0)], axis=1).astype(np.float32)
    assert active_units(latent).tolist() == [True, False, True, False]
    found = correlations(latent)
    np.testing.assert_allclose(found[:3, :3], np.corrcoef(latent[:, :3].T), atol=1e-5)
    assert not found[3].any()
    assert most_correlated(found, 2) == [(0, 2), (1, 2)]


def test_an_ellipse_holds_its_share_of_normal_points():
    points = normal_sample(50_000)[:, :2]
    assert share_within(points, 0.9) == pytest.approx(0.9, abs=0.01)
    border = ellipse(points, 0.9)
    np.testing.assert_allclose(Normal.of(points).distances(border) ** 2, chi2.ppf(0.9, 2))
    assert ellipse(np.ones((5, 2)), 0.9).shape == (100, 2)


def test_the_map_keeps_groups_together_and_is_reproducible():
    generator = np.random.default_rng(0)
    centres = 10 * generator.normal(size=(3, 8))
    latent = np.concatenate([centre + generator.normal(size=(20, 8)) for centre in centres])
    made = tsne_map(latent, seed=1)
    np.testing.assert_array_equal(made, tsne_map(latent, seed=1))
    distance = np.linalg.norm(made[:, None] - made, axis=2) + np.diag(np.full(60, np.inf))
    assert (distance.argmin(axis=1) // 20 == np.arange(60) // 20).all()
