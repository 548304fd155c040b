"""Statistics over test images, against formulas and simulations that share nothing with them."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from resnet_lab.report.statistics.images import (
    MeanSquares,
    agreement,
    components,
    difference,
    hard_images,
    mcnemar,
    optimism,
)

RNG = np.random.default_rng(0)
WRONG = RNG.random((4, 50)) < RNG.beta(0.5, 2, 50)  # images of different difficulty
OTHER = RNG.random((3, 50)) < 0.4


def test_mcnemar_by_hand():
    """8 images on which only one network is wrong, and 2 on the other: twice the tail of 10 fair coins from 8 on."""
    first = np.array([True] * 8 + [False] * 2 + [True] * 30 + [False] * 5)
    second = np.array([False] * 8 + [True] * 2 + [True] * 30 + [False] * 5)
    assert mcnemar(first, second) == ((8, 2), pytest.approx(2 * (45 + 10 + 1) / 2**10))
    assert mcnemar(second, first)[0] == (2, 8)
    assert mcnemar(first, first) == ((0, 0), 1.0)
    assert mcnemar([True] * 40, [False] * 40)[1] == pytest.approx(2 * stats.binom.pmf(0, 40, 0.5))


def test_for_two_single_runs_the_test_over_images_is_mcnemars():
    rng = np.random.default_rng(1)
    a, b = rng.random((1, 10_000)) < 0.10, rng.random((1, 10_000)) < 0.11
    (only_a, only_b), p = mcnemar(a[0], b[0])
    found = difference(a, b)
    square = found.mean**2 / found.over_images.variance
    assert square == pytest.approx((only_a - only_b) ** 2 / (only_a + only_b), rel=0.01)
    assert found.over_images.p(found.mean) == pytest.approx(p, abs=0.02)
    assert found.over_runs is found.over_both is None


def test_over_images_it_is_the_paired_t_test_and_over_runs_welchs():
    found = difference(WRONG, OTHER)
    paired = stats.ttest_rel(WRONG.mean(axis=0), OTHER.mean(axis=0))
    welch = stats.ttest_ind(WRONG.mean(axis=1), OTHER.mean(axis=1), equal_var=False)
    assert found.mean == pytest.approx(WRONG.mean() - OTHER.mean())
    for uncertainty, expected in ((found.over_images, paired), (found.over_runs, welch)):
        low, high = expected.confidence_interval(0.95)
        assert uncertainty is not None
        assert uncertainty.p(found.mean) == pytest.approx(expected.pvalue)
        assert uncertainty.half == pytest.approx((high - low) / 2)
        assert uncertainty.freedom == pytest.approx(expected.df)


def test_a_group_over_runs_and_over_images_has_the_intervals_of_students_t():
    found = components(WRONG)
    for uncertainty, means in ((found.over_runs, WRONG.mean(axis=1)), (found.over_images, WRONG.mean(axis=0))):
        expected = stats.sem(means) * stats.t.ppf(0.975, len(means) - 1)
        assert uncertainty is not None
        assert uncertainty.half == pytest.approx(expected)
    single = components(WRONG[:1])
    share = WRONG[0].mean()
    assert single.over_images.variance == pytest.approx(share * (1 - share) / (50 - 1))  # as of a binomial number
    assert single.over_runs is single.over_both is None


def test_mean_squares_by_hand():
    """Rows 0 and 1, columns with means 2 and 5: sums of squares from deviations that can be added up in the head."""
    values = np.array([[1.0, 3.0], [3.0, 7.0]])
    squares = MeanSquares.of(values)  # mean 3.5; of runs 2 and 5, of images 2 and 5; rest ±0.5
    assert (squares.runs, squares.images, squares.residual) == (9.0, 9.0, 1.0)
    assert squares.variances == (4.0, 4.0, 1.0)
    found = components(values)
    terms = [9 / 4, 9 / 4, -1 / 4]
    assert found.over_both is not None
    assert found.over_both.variance == sum(terms) == 4.25
    assert found.over_both.freedom == pytest.approx(4.25**2 / sum(term**2 for term in terms))
    assert found.over_both.half == pytest.approx(math.sqrt(4.25) * stats.t.ppf(0.975, found.over_both.freedom))


def test_the_variance_of_a_difference_adds_runs_of_both_groups_and_images_once():
    n, seeds = 50, np.array([[0.3], [-0.2], [0.1], [0.0]])
    one, other = WRONG + seeds, OTHER - seeds[:3]
    a, b, found = MeanSquares.of(one), MeanSquares.of(other), difference(one, other)
    gaps = one.mean(axis=0) - other.mean(axis=0)
    terms = {
        (a.runs / (4 * n), 3), (b.runs / (3 * n), 2), (gaps.var(ddof=1) / n, n - 1),
        (-a.residual / (4 * n), 3 * (n - 1)), (-b.residual / (3 * n), 2 * (n - 1)),
    }  # fmt: skip
    variance = sum(term for term, _ in terms)
    assert found.over_both is not None
    assert found.over_both.variance == pytest.approx(variance)
    assert found.over_both.freedom == pytest.approx(variance**2 / sum(term**2 / df for term, df in terms))


def drawn(rng: np.random.Generator, runs: int, images: np.ndarray, interaction: np.ndarray) -> np.ndarray:
    """Values (R, N) of a group whose true mean is 0, with a spread over runs and images of similar weight."""
    return rng.normal(0, 0.2, (runs, 1)) + images + interaction + rng.normal(0, 1, (runs, len(images)))


def test_intervals_over_both_cover_the_truth_in_95_percent():
    rng, tries, n = np.random.default_rng(2), 2000, 60
    covered = np.zeros(3)
    for _ in range(tries):
        images = rng.normal(0, 1, n)
        a, b = (drawn(rng, runs, images, rng.normal(0, 0.5, n)) for runs in (6, 5))
        one, both = components(a), difference(a, b)
        assert one.over_both is not None
        assert both.over_both is not None
        covered += [
            abs(one.mean) <= one.over_both.half,
            abs(both.mean) <= both.over_both.half,
            abs(one.mean) <= one.over_images.half,
        ]
    # Of 2,000 tries, 95 % are covered with a standard error of 0.5 %; Satterthwaite's freedom is an approximation.
    assert covered[:2] / tries == pytest.approx(0.95, abs=0.02)
    assert covered[2] / tries < 0.93  # the noise of seeds is left out


def test_paired_runs_are_components_of_their_differences():
    rng = np.random.default_rng(3)
    seeds = rng.normal(0, 5, (4, 1))  # shared by both groups
    a, b = (seeds + rng.normal(0, 1, (4, 30)) for _ in range(2))
    paired, unpaired = components(a - b), difference(a, b)
    assert paired.mean == pytest.approx(unpaired.mean)
    assert paired.over_both is not None
    assert unpaired.over_both is not None
    assert paired.over_both.half < unpaired.over_both.half / 3


def test_the_interval_over_both_is_never_the_narrower_one():
    """Runs of exactly the same error differ less than chance alone would make them."""
    wrong = np.array([[1, 0, 0, 1], [0, 1, 0, 1]], bool)
    squares, found = MeanSquares.of(wrong), components(wrong)
    assert squares.variances is not None
    assert squares.variances[0] < 0
    assert found.over_both == found.over_images


def test_no_variance_is_no_test():
    same = np.zeros((3, 20), bool)
    found = difference(same, same)
    assert found.over_both is not None
    assert (found.mean, found.over_both.half, found.over_both.p(0.0)) == (0.0, 0.0, None)


def test_agreement():
    labels = np.array([0, 1, 2, 0])
    a = np.array([[0, 1, 2, 1], [0, 1, 0, 1], [0, 2, 0, 1]])
    within = agreement(a, labels)
    assert within is not None
    assert within.same == pytest.approx((3 / 4 + 2 / 4 + 3 / 4) / 3)
    assert within.overlap == pytest.approx((1 / 2 + 1 / 3 + 2 / 3) / 3)
    between = agreement(a[:2], labels, labels[None])
    assert between is not None
    assert between.same == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert between.overlap == 0
    assert agreement(a[:1], labels) is None
    perfect = agreement(np.stack([labels, labels]), labels)
    assert perfect is not None
    assert (perfect.same, perfect.overlap) == (1, None)


def test_hard_images():
    wrong = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 1]], bool)
    assert hard_images(wrong).tolist() == [0]
    assert hard_images(wrong, 2 / 3).tolist() == [0, 1]
    assert hard_images(wrong, 1 / 3).tolist() == [0, 1, 3]


def test_optimism_is_the_mean_over_all_resamples():
    """Of 4 images, all 256 resamples can be enumerated."""
    scores = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.5], [0.0, 0.0, 1.0, 0.2]])
    gaps = []
    for rows in itertools.product(range(4), repeat=4):
        means = [sum(own[row] for row in rows) / 4 for own in scores]
        best = means.index(min(means))
        gaps.append(scores[best].mean() - means[best])
    assert optimism(scores, resamples=20_000) == pytest.approx(np.mean(gaps), abs=0.005)
    assert optimism(scores) == optimism(scores) != optimism(scores, seed=1)


def test_the_best_of_many_equal_groups_looks_better_than_it_is():
    """The least of K normal numbers lies that far below their mean: 1.16 standard deviations for K = 5."""
    rng, n = np.random.default_rng(4), 400
    wrong = 100.0 * (rng.random((5, n)) < 0.2)
    equal = wrong - wrong.mean(axis=1, keepdims=True)
    spread = equal.std() / math.sqrt(n)
    assert optimism(equal, resamples=4000) == pytest.approx(1.163 * spread, rel=0.1)
    assert optimism(equal[:1], resamples=4000) == pytest.approx(0, abs=4 * spread / math.sqrt(4000))
