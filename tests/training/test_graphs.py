"""Replayed steps are the eager ones, bit for bit. Recording needs a GPU; here, an emulation of it records."""

import dataclasses
from itertools import cycle

import pytest
from support.graphs import REFUSED, CountingCapture, assert_same
from support.lab import FailsAt, Lab, without_times

from resnet_lab.config.enums import Optimizer
from resnet_lab.config.groups import options
from resnet_lab.config.registry import SHORTCUTS
from resnet_lab.config.schema import Config
from resnet_lab.interrupts import RunFailed
from resnet_lab.tasks.classification import Classification
from resnet_lab.training import module
from resnet_lab.training.graphs import WARM_UP
from resnet_lab.training.runtime import Runtime

pytestmark = pytest.mark.usefixtures("emulated")

# Learning rates that float32, in which a recorded step reads them, holds exactly.
CHANGES = (
    "units=n1",
    "optim.lr=0.125",
    "optim.schedule=step",
    "optim.lr_factors=[0.5,0.25]",
    "optim.batch_size=10",  # four whole mini-batches an epoch, and one of 8 images
    "trainer.max_epochs=2",
    "trainer.eval_batch_size=9",
)
SHAPES = [(10, True), (8, True), (9, False), (7, False)]  # in training, and in validation
DROPOUT = (*CHANGES, "shortcut=dropout", "model.unit_dropout=0.25", "model.stochastic_depth.rate=0.5")

# Every shortcut, with whatever else changes a step. The lengths differ, so that most pairs occur.
SELECTION = zip(
    SHORTCUTS,
    cycle(["optim=sgd", "optim=sgd optim.nesterov=true", "optim=adam optim.lr=0.0078125", "optim=adamw", "optim=sgdw"]),
    cycle(["head=latent_map", "head=linear", "head=mlp", "head=latent", "head=latent_flat"]),
    cycle([f"trainer.precision={precision}" for precision in ("32", "bf16", "bf16", "32", "bf16")]),
    cycle([f"optim.clip_norm={norm}" for norm in (0.5, 0)]),
    cycle(
        ["optim.label_smoothing=0 optim.accumulate=2", "optim.label_smoothing=0.125", "optim.class_weights=balanced"]
    ),
    cycle(["attention=se", "norm=group model.norm_groups=4", "nonlinearity=silu", "model.weight_standardisation=true"]),
    cycle([f"trainer.steps_per_call={steps}" for steps in (1, 3, 100, 2, 1, 7, 4)]),
    strict=False,
)
CASES = [f"shortcut={shortcut} {' '.join(others)}" for shortcut, *others in SELECTION]


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> list[CountingCapture]:
    """What records the runs that do not refuse it."""
    resolve, made = Runtime.resolve, []

    def replaying(config: Config, macs: int) -> Runtime:
        return dataclasses.replace(resolve(config, macs), graphs=config.trainer.graphs is not False)

    def capture() -> CountingCapture:
        made.append(CountingCapture())
        return made[-1]

    monkeypatch.setattr(Runtime, "resolve", replaying)
    monkeypatch.setattr(module, "GraphCapture", capture)
    return made


def assert_eager(lab: Lab, *changes: str) -> None:
    """The run left what an eager one leaves."""
    eager = Lab(lab.output_dir / "eager")
    eager.run(*changes, "trainer.graphs=false")
    result, expected = (without_times(one.directory(*changes).result()) for one in (lab, eager))
    assert result == expected
    left, expected = (one.checkpoint(*changes) for one in (lab, eager))
    assert left["global_step"] == expected["global_step"]
    assert_same(left["state_dict"], expected["state_dict"])
    assert_same(left["optimizer_states"][0]["state"], expected["optimizer_states"][0]["state"])


@pytest.mark.parametrize("case", CASES)
def test_a_replayed_run_is_the_eager_one(lab: Lab, captures: list[CountingCapture], case: str):
    changes = (*CHANGES, *case.split())
    lab.run(*changes)
    assert_eager(lab, *changes)
    [capture] = captures
    assert capture.warmed == dict.fromkeys(SHAPES, WARM_UP)
    assert capture.recorded == dict.fromkeys(SHAPES, 1)


def test_the_selection_covers_every_choice():
    chosen = " ".join(CASES).split()
    for group, names in (("optim", Optimizer.__members__), ("head", options("head"))):
        assert {f"{group}={name}" for name in names} <= {*chosen}


def test_a_checkpoint_has_plain_learning_rates(lab: Lab, captures: list[CountingCapture]):
    lab.run(*DROPOUT)
    [group] = lab.checkpoint(*DROPOUT)["optimizer_states"][0]["param_groups"]
    assert type(group["lr"]) is float
    assert captures


def test_a_replayed_run_continues(lab: Lab, captures: list[CountingCapture]):
    with pytest.raises(RunFailed):
        lab.run(*DROPOUT, callbacks=[FailsAt(1)])
    lab.run(*DROPOUT)
    assert_eager(lab, *DROPOUT)
    former, later = captures
    assert former.recorded == later.recorded == dict.fromkeys(SHAPES, 1)  # in one epoch


def test_a_replayed_run_averages_and_follows_all_schedules(lab: Lab, captures: list[CountingCapture]):
    averaged = ("optim.ema=0.75", "optim.decay_schedule=linear", "optim.schedule=one_cycle")
    lab.run(*CHANGES, *averaged)
    assert_eager(lab, *CHANGES, *averaged)
    assert captures[0].recorded == dict.fromkeys(SHAPES[:2], 1) | dict.fromkeys(SHAPES[2:], 2)


def test_a_run_whose_step_waits_for_the_device_names_a_way_out(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, captures: list[CountingCapture]
):
    loss = Classification.loss
    monkeypatch.setattr(Classification, "loss", lambda *args: loss(*args) if loss(*args).item() > 0 else None)
    with pytest.raises(RunFailed, match=rf"{REFUSED}.*; use trainer\.graphs=false"):
        lab.run(*CHANGES)
    assert captures
