"""Holding out is exact, fair to every class and repeatable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.split import holdout


@given(st.data(), st.lists(st.integers(0, 12), min_size=1, max_size=200), st.integers(0, 2**32 - 1))
def test_holdout_is_an_exact_stratified_partition(data: st.DataObject, classes: list[int], seed: int) -> None:
    labels = np.array(classes)
    count = data.draw(st.integers(0, len(labels) - 1))
    rest, held_out = holdout(labels, count, seed)
    assert len(held_out) == count
    assert sorted([*rest, *held_out]) == list(range(len(labels)))
    assert list(rest) == sorted(rest)
    assert list(held_out) == sorted(held_out)
    for label in set(classes):
        share = count * np.mean(labels == label)
        assert abs(np.sum(labels[held_out] == label) - share) < 1
    again = holdout(labels, count, seed)
    assert np.array_equal(rest, again[0])
    assert np.array_equal(held_out, again[1])


def test_seeds_hold_out_different_images_and_every_image_has_its_turn() -> None:
    labels = np.repeat(np.arange(5), 20)
    held_out = [frozenset(holdout(labels, 10, seed)[1].tolist()) for seed in range(200)]
    assert len(set(held_out)) == 200
    turns = np.bincount([index for indices in held_out for index in indices], minlength=100)
    assert turns.min() > 0  # 20 are expected; a sampler that prefers positions in a class would leave some at 0
    assert turns.max() < 60


@pytest.mark.parametrize("count", [-1, 10, 11])
def test_something_must_be_left(count: int) -> None:
    with pytest.raises(ConfigError, match=rf"data\.validation .* {count} of 10"):
        holdout(np.zeros(10, np.int64), count, 0)
