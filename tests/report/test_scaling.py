"""Power laws: found where there are enough sizes, and otherwise refused."""

import numpy as np
import pytest
from scipy import stats

from resnet_lab.config.tasks import CLASSIFICATION
from resnet_lab.report import findings
from resnet_lab.report.statistics.scaling import power_law

SIZES = [1e5, 2e5, 4e5, 8e5, 3.2e6]


def test_a_law_is_found_again():
    law = power_law("parameters", SIZES, [30 * size**-0.25 for size in SIZES])
    assert law is not None
    assert (law.exponent, law.factor, law.explained) == pytest.approx((-0.25, 30, 1))
    [said] = findings.power_laws([law], CLASSIFICATION.scoring)
    assert "each doubling multiplies it by 0.841" in said


def test_its_interval_holds():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        law = power_law("MACs", SIZES, [size**-0.3 * np.exp(0.1 * rng.normal()) for size in SIZES])
        assert law is not None
        assert law.low is not None
        assert law.high is not None
        held += law.low <= -0.3 <= law.high
    assert stats.binomtest(held, 400, 0.95).pvalue > 1e-3


@pytest.mark.parametrize("sizes", [SIZES[:4], [1, 2, 3, 4, 5, 6, 7]])
def test_too_few_sizes_are_not_fitted(sizes: list[float]):
    law = power_law("parameters", sizes, [5.0] * len(sizes))
    assert law is not None
    assert law.exponent is None
    [said] = findings.power_laws([law, law], CLASSIFICATION.scoring)
    assert said.startswith(f"no power law is fitted over parameters ({len(sizes)} sizes")


def test_one_size_is_no_question():
    assert power_law("parameters", [5.0, 5.0], [1.0, 2.0]) is None


def test_constant_scores_are_explained_by_nothing():
    law = power_law("parameters", SIZES, [5.0] * len(SIZES))
    assert law is not None
    assert (law.exponent, law.low, law.high, law.explained) == (0, 0, 0, 0)
