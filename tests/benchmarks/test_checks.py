"""All are given the same, the lab learns what the bare loop learns, and a check fails where that is not so."""

import dataclasses

import numpy as np
import pytest
import torch

from benchmarks import checks
from benchmarks.checks import BF16, EPOCHS, EXACT, REORDERED, STEPS, Seen, follow
from benchmarks.task import Task
from resnet_lab.config.checks import ConfigError
from resnet_lab.training.schedule import learning_rate

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
TINY = [*checks.TINY, "units=n1"]


@pytest.fixture(scope="module")
def bare() -> Seen:
    return follow("roof", TINY, CPU, eager=True)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("floor", EXACT),
        ("lab", EXACT),
        ("lab:trainer.steps_per_call=1", EXACT),
        ("lab:trainer.steps_per_call=7", EXACT),  # epochs end with calls of four
        ("lab:trainer.channels_last=false", REORDERED),
        ("slowed", EXACT),  # but for BatchNorm's statistics
        ("plain", REORDERED),
        ("template", REORDERED),
        pytest.param("strong", REORDERED, marks=pytest.mark.long),
    ],
)
def test_every_implementation_learns_the_same_from_the_same(name: str, tolerance: checks.Tolerance, bare: Seen):
    seen = follow(name, TINY, CPU)
    assert checks.reorders(name) == (tolerance is REORDERED) or name == "slowed"
    assert len(seen[0].losses) == STEPS * EPOCHS
    made = [checks.same_batches(name, seen, bare), checks.same_losses(name, seen, bare, tolerance)]
    made += checks.same_state(name, seen, bare, tolerance)
    failed = [check["what"] for check in made if not check["passed"]]
    assert len(failed) == (name == "slowed"), failed


def test_the_gpu_s_fp32_checks_hold_without_graphs_too():
    assert all(check["passed"] for check in checks.in_fp32(CPU))


def test_checks_fail_for_another_batch_loss_or_state(bare: Seen):
    trajectory, trained = bare
    other = checks.Trajectory()
    other.images = [*trajectory.images[1:], trajectory.images[0]]
    other.labels, other.losses = trajectory.labels, [1.1 * loss for loss in trajectory.losses]
    state = dataclasses.replace(
        trained,
        weights={name: tensor + (name.endswith("running_mean")) for name, tensor in trained.weights.items()},
        momentum=[-momentum for momentum in trained.momentum],
        lr=10 * trained.lr,
        steps=trained.steps - 1,
    )
    seen = (other, state)
    made = [checks.same_batches("x", seen, bare), checks.same_losses("x", seen, bare, BF16)]
    made += checks.same_state("x", seen, bare, BF16)
    assert not any(check["passed"] for check in made)


def test_another_seed_is_another_trajectory(bare: Seen):
    seen = follow("roof", [*TINY, "seed=1"], CPU)
    assert not checks.same_batches("roof", seen, bare)["passed"]
    assert not checks.same_losses("roof", seen, bare, BF16)["passed"]


def test_the_lab_s_crops_and_flips_are_uniform():
    counts = checks.offsets()
    assert counts.shape == (9, 9, 2)
    assert counts.sum() == 20_000
    assert checks.uniform(counts)["passed"]


@pytest.mark.parametrize("unfair", [(0, slice(None), slice(None)), (slice(None), 8, slice(None)), (..., 1)])
def test_an_uneven_histogram_is_found(unfair: tuple[object, ...]):
    counts = np.full((9, 9, 2), 123)
    counts[unfair] -= 60
    assert not checks.uniform(counts)["passed"]


def test_the_learning_rate_is_written_twice_and_the_same():
    task = Task(TINY, steps=5, epochs=4, device=CPU)
    optim = task.config.optim
    rates = [optim.lr * task.lr_factor(step) for step in range(20)]
    assert rates == [learning_rate(optim, step, 20) for step in range(20)]
    assert len(set(rates)) == 3


@pytest.mark.parametrize("setting", ["optim=adam", "optim.nesterov=true", "optim.schedule=cosine", "optim.clip_norm=1"])
def test_other_recipes_are_refused(setting: str):
    with pytest.raises(ConfigError, match="papers' recipe"):
        Task([*TINY, setting], steps=1, epochs=1, device=CPU)
