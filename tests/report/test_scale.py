"""Scores on logarithmic scales, from 0 to the largest possible one."""

import math

import pytest

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.tasks import CLASSIFICATION
from resnet_lab.report.question import Question
from resnet_lab.report.scale import Scale

PERCENT = CLASSIFICATION.scoring


def test_large_errors_are_compared_by_what_is_missing_to_the_largest():
    """Also where the number of images is not known."""
    scale = Scale.of(PERCENT, True, [60.0, 90.0, 95.0, 100.0], None)
    assert scale.number(scale.transform(95) - scale.transform(90)) == "2"
    assert math.exp(-scale.transform(100)) == pytest.approx(2.5)  # half of the smallest
    assert scale.compared == ", by the logarithm of 100 minus it"


def test_zero_counts_as_half_an_image():
    scale = Scale.of(PERCENT, True, [0.0, 1.0], 200)
    assert math.exp(scale.transform(0)) == pytest.approx(0.25)
    assert scale.compared == ", by its logarithm"


def test_scores_below_zero_have_no_logarithm():
    with pytest.raises(ConfigError, match="--log takes scores of 0 or more"):
        Scale.of(PERCENT, True, [-1.0, 2.0], None)


@pytest.mark.parametrize("difference", [-1e5, 1e5])
def test_a_ratio_that_no_float_holds_is_a_number_too(difference: float):
    assert float(Scale(PERCENT, True).number(difference)) in (0.0, pytest.approx(math.exp(700), rel=0.01))


@pytest.mark.parametrize("target", [math.nan, math.inf])
def test_a_target_is_a_score(target: float):
    with pytest.raises(ConfigError, match="--target must be a score"):
        Question(target=target)
