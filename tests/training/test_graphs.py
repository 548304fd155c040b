"""Replayed steps are the eager ones, bit for bit. Recording needs a GPU; here, an emulation of it records."""

import dataclasses
import random
from collections.abc import Callable
from contextlib import nullcontext
from itertools import cycle
from typing import Any

import pytest
import torch
from support.graphs import EMULATED, REFUSED, CountingCapture
from support.lab import TINY, FailsAt, Lab, without_times
from torch import Tensor, nn

from resnet_lab.config.compose import load_config
from resnet_lab.config.enums import Optimizer
from resnet_lab.config.groups import options
from resnet_lab.config.registry import SHORTCUTS
from resnet_lab.config.schema import Config
from resnet_lab.interrupts import RunFailed
from resnet_lab.model.shortcuts import Dropout
from resnet_lab.tasks.base import task_of
from resnet_lab.tasks.classification import Classification
from resnet_lab.training import graphs, module
from resnet_lab.training.graphs import WARM_UP
from resnet_lab.training.runtime import Runtime
from resnet_lab.training.schedule import build_optimizer, make_recordable, set_learning_rate
from resnet_lab.training.step import Totals, TrainingStep

CPU = torch.device("cpu")

# Learning rates that float32, in which a recorded step reads them, holds exactly.
CHANGES = (
    "optim.lr=0.125",
    "optim.schedule=step",
    "optim.lr_factors=[0.5,0.25]",
    "optim.batch_size=10",  # four whole mini-batches an epoch, and one of 8 images
    "trainer.max_epochs=2",
    "trainer.eval_batch_size=9",
)
SHAPES = [(10, True), (8, True), (9, False), (7, False)]  # in training, and in validation
DROPOUT = (*CHANGES, "shortcut=dropout")

# Every shortcut, with whatever else changes a step. The lengths differ, so that most pairs occur.
SELECTION = zip(
    SHORTCUTS,
    cycle(["optim=sgd", "optim=sgd optim.nesterov=true", "optim=adam optim.lr=0.0078125", "optim=adamw"]),
    cycle(["head=linear", "head=mlp", "head=latent"]),
    cycle(["trainer.precision=32", "trainer.precision=bf16-mixed", "trainer.precision=bf16-mixed"]),
    cycle([f"optim.clip_norm={norm}" for norm in (0.5, 0, 0, 2, 0.5)]),
    cycle(["optim.label_smoothing=0", "optim.label_smoothing=0.125", "optim.class_weights=balanced"]),
    cycle([f"trainer.steps_per_call={steps}" for steps in (1, 3, 100, 2, 7)]),
    strict=False,
)
CASES = [f"shortcut={shortcut} {' '.join(others)}" for shortcut, *others in SELECTION]


@pytest.fixture(autouse=True)
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA graphs can be recorded."""
    for name, stand_in in EMULATED.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)


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


def assert_same(one: Any, other: Any) -> None:
    """The same numbers, bit for bit."""
    torch.testing.assert_close(one, other, rtol=0, atol=0)


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


def trained(capture: CountingCapture | None) -> Any:
    """Everything that a few training steps leave behind."""
    config = load_config(*TINY, *DROPOUT)
    for seed in (torch.manual_seed, random.seed):
        seed(0)
    task = task_of(config)
    net, totals = task.network(), Totals(task, CPU)
    optimizer = build_optimizer(config.optim, net)
    step = module.training_step(net, optimizer, config.optim, totals, Runtime.resolve(config, 1), capture)
    for number in range(4):
        set_learning_rate(optimizer, 0.5**number)
        step(torch.randn(10, *config.data.image_shape), torch.arange(10) % 3)
    return net.state_dict(), optimizer.state_dict()["state"], totals.means()


def test_replayed_steps_are_the_eager_ones():
    assert_same(trained(CountingCapture()), trained(None))


def rate_from_python(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(module, "make_recordable", lambda *_: None)


def no_warm_up(patch: pytest.MonkeyPatch) -> None:
    """The momentum of SGD is allocated, and begins, in the recording."""
    patch.setattr(graphs, "WARM_UP", 0)


def warm_up_that_stays(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(graphs, "undone", lambda *_: nullcontext())


def forgotten_state(patch: pytest.MonkeyPatch) -> None:
    """The statistics of BatchNorm are not among what a step says that it changes."""

    def state(self: TrainingStep) -> list[Tensor]:
        statistics = {id(buffer) for buffer in self.net.buffers()}
        return [tensor for tensor in whole(self) if id(tensor) not in statistics]

    whole = TrainingStep.state
    patch.setattr(TrainingStep, "state", state)


def counter_in_python(patch: pytest.MonkeyPatch) -> None:
    def add(self: Any, loss: Tensor, *others: Any) -> None:
        self.steps = getattr(self, "steps", 0) + 1
        Totals_add(self, loss * self.steps, *others)

    Totals_add = Totals.add
    patch.setattr(Totals, "add", add)


def seed_from_python(patch: pytest.MonkeyPatch) -> None:
    def forward(self: Any, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(random.getrandbits(32))
        return self.path(x_BCHW) * torch.rand(x_BCHW.shape[0], 1, 1, 1, generator=generator) + residual_BCHW

    patch.setattr(Dropout, "forward", forward)


def memory_of_another_graph(patch: pytest.MonkeyPatch) -> None:
    """The loss of one step is added in the next."""

    def add(self: Any, loss: Tensor, *others: Any) -> None:
        Totals_add(self, getattr(self, "loss_before", loss), *others)
        self.loss_before = loss.detach()

    Totals_add = Totals.add
    patch.setattr(Totals, "add", add)


@pytest.mark.parametrize(
    "mutant",
    [
        rate_from_python,
        no_warm_up,
        warm_up_that_stays,
        forgotten_state,
        counter_in_python,
        seed_from_python,
        memory_of_another_graph,
    ],
)
def test_a_step_that_cannot_be_replayed_is_noticed(
    monkeypatch: pytest.MonkeyPatch, mutant: Callable[[pytest.MonkeyPatch], None]
):
    mutant(monkeypatch)
    eager, replayed = trained(None), trained(CountingCapture())
    with pytest.raises(AssertionError):
        assert_same(replayed, eager)


@pytest.mark.parametrize(
    "wait",
    [
        Tensor.item,
        Tensor.tolist,
        Tensor.cpu,
        Tensor.numpy,
        Tensor.nonzero,
        lambda images: bool(images.sum() > 0),
        lambda images: images[images > 0],
        lambda images: images + torch.tensor(1.0),
        lambda images: nn.functional.one_hot(images.long()),
    ],
)
def test_a_recording_must_not_wait_for_the_device(wait: Callable[[Tensor], object]):
    images, labels = torch.zeros(1, 1, 1, 1), torch.zeros(1, dtype=torch.long)
    wait(images)
    with pytest.raises(RuntimeError, match=REFUSED):
        CountingCapture().record(lambda images, _: wait(images) and None, images, labels)


def test_a_run_whose_step_waits_for_the_device_names_a_way_out(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, captures: list[CountingCapture]
):
    loss = Classification.loss
    monkeypatch.setattr(Classification, "loss", lambda *args: loss(*args) if loss(*args).item() > 0 else None)
    with pytest.raises(RunFailed, match=rf"{REFUSED}.*; use trainer\.graphs=false"):
        lab.run(*CHANGES)
    assert captures


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_learning_rates_of_a_recordable_optimizer_stay_in_their_place(kind: Any):
    optimizer = kind([torch.nn.Parameter(torch.ones(3))], lr=0.5, fused=True)
    make_recordable(optimizer, torch.device("cpu"))
    [group] = optimizer.param_groups
    place = group["lr"].data_ptr()
    set_learning_rate(optimizer, 0.25)
    assert (group["lr"].item(), group["lr"].data_ptr()) == (0.25, place)
    assert group.get("capturable", True)
