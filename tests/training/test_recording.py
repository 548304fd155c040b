"""A few steps, recorded and replayed: what is not the eager step again is noticed."""

import random
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from support.composing import config as load_config
from support.graphs import REFUSED, CountingCapture, assert_same
from support.lab import TINY
from torch import Tensor, nn

from resnet_lab.model.shortcuts import Dropout
from resnet_lab.tasks.base import task_of
from resnet_lab.training import graphs, module
from resnet_lab.training.optimizer import build_optimizer, make_recordable, set_rates
from resnet_lab.training.runtime import Runtime
from resnet_lab.training.schedule import Rates
from resnet_lab.training.step import Totals, TrainingStep

pytestmark = pytest.mark.usefixtures("emulated")

CPU = torch.device("cpu")
CONFIG = load_config(*TINY, "units=n1", "optim.batch_size=10", "shortcut=dropout")


def trained(capture: CountingCapture | None) -> Any:
    """Everything that a few training steps leave behind."""
    for seed in (torch.manual_seed, random.seed):
        seed(0)
    task = task_of(CONFIG)
    net, totals = task.network(), Totals(task, CPU)
    optimizer = build_optimizer(CONFIG.optim, net)
    step = module.training_step(net, optimizer, CONFIG.optim, totals, Runtime.resolve(CONFIG, 1), capture)
    for number in range(4):
        set_rates(optimizer, Rates(0.5**number, 0.9, 1e-4))
        step(torch.randn(10, *CONFIG.data.image_shape), torch.arange(10) % 3)
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


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_learning_rates_of_a_recordable_optimizer_stay_in_their_place(kind: Any):
    optimizer = kind([torch.nn.Parameter(torch.ones(3))], lr=0.5, fused=True)
    make_recordable(optimizer, torch.device("cpu"))
    [group] = optimizer.param_groups
    place = group["lr"].data_ptr()
    set_rates(optimizer, Rates(0.25, 0, 0))
    assert (group["lr"].item(), group["lr"].data_ptr()) == (0.25, place)
    assert group.get("capturable", True)
