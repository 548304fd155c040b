"""Replayed steps are the eager ones. Recording itself needs a GPU; all around it is the same with a stand-in here."""

import dataclasses
from collections import Counter
from typing import Any

import pytest
import torch
from support.lab import FailsAt, Lab, same_weights, without_times
from torch import Tensor

from resnet_lab.interrupts import RunFailed
from resnet_lab.training import module
from resnet_lab.training.graphs import WARM_UP, GraphedStep, Step
from resnet_lab.training.runtime import Runtime
from resnet_lab.training.schedule import make_recordable, set_learning_rate

# Learning rates that float32, in which a recorded step reads them, holds exactly.
CHANGES = (
    "optim.lr=0.125",
    "optim.lr_factors=[0.5,0.25]",
    "optim.batch_size=10",  # four whole mini-batches an epoch, and one of 8 images
    "trainer.max_epochs=6",
    "trainer.eval_batch_size=9",
    "shortcut=dropout",
)


class Tape:
    """A step on the tensors that it was recorded with, whatever it is replayed with, as a CUDA graph does it."""

    def __init__(self, step: Step, images_BCHW: Tensor, labels_B: Tensor) -> None:
        self.step, self.images, self.labels = step, torch.empty_like(images_BCHW), torch.empty_like(labels_B)

    def replay(self, images_BCHW: Tensor, labels_B: Tensor) -> None:
        self.images.copy_(images_BCHW)
        self.labels.copy_(labels_B)
        self.step(self.images, self.labels)


class TapeRecorder:
    """Stands for the recorder of a GPU, and counts."""

    made: list["TapeRecorder"]

    def __init__(self) -> None:
        self.warmed, self.log_to = Counter[tuple[int, bool]](), Counter[tuple[int, bool]]()
        self.made.append(self)

    def warm_up(self, step: Step, images_BCHW: Tensor, labels_B: Tensor) -> None:
        self.warmed[len(labels_B), torch.is_grad_enabled()] += 1
        step(images_BCHW, labels_B)

    def record(self, step: Step, images_BCHW: Tensor, labels_B: Tensor) -> Tape:
        self.log_to[len(labels_B), torch.is_grad_enabled()] += 1
        return Tape(step, images_BCHW, labels_B)


@pytest.fixture
def recorders(monkeypatch: pytest.MonkeyPatch) -> list[TapeRecorder]:
    """Runs are replayed from here on; the recorders that they made."""
    resolve = Runtime.resolve

    def replaying(*arguments: Any) -> Runtime:
        return dataclasses.replace(resolve(*arguments), graphs=True)

    TapeRecorder.made = []
    monkeypatch.setattr(Runtime, "resolve", replaying)
    monkeypatch.setattr(module, "GraphCapture", TapeRecorder)
    return TapeRecorder.made


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("eager"))
    lab.run(*CHANGES)
    return lab


def test_a_replayed_run_is_the_eager_one(lab: Lab, eager: Lab, recorders: list[TapeRecorder]):
    result = lab.run(*CHANGES)
    assert without_times(result) == without_times(eager.directory(*CHANGES).result())
    one, other = lab.checkpoint(*CHANGES), eager.checkpoint(*CHANGES)
    assert same_weights(one, other)
    assert one["global_step"] == other["global_step"] == 6 * 5
    moments, expected = (checkpoint["optimizer_states"][0]["state"] for checkpoint in (one, other))
    assert all(torch.equal(moments[i]["momentum_buffer"], expected[i]["momentum_buffer"]) for i in expected)
    [recorder] = recorders
    # Mini-batches of 10 and 8 in training, 9 and 7 in validation: some of each warm up, and one of each is recorded.
    assert recorder.warmed == {(10, True): WARM_UP, (8, True): WARM_UP, (9, False): WARM_UP, (7, False): WARM_UP}
    assert recorder.log_to == dict.fromkeys(recorder.warmed, 1)


def test_a_checkpoint_has_plain_learning_rates(lab: Lab, recorders: list[TapeRecorder]):
    lab.run(*CHANGES)
    [group] = lab.checkpoint(*CHANGES)["optimizer_states"][0]["param_groups"]
    assert type(group["lr"]) is float
    assert recorders


def test_a_replayed_run_continues(lab: Lab, eager: Lab, recorders: list[TapeRecorder]):
    with pytest.raises(RunFailed):
        lab.run(*CHANGES, callbacks=[FailsAt(4)])
    lab.run(*CHANGES)
    assert same_weights(lab.checkpoint(*CHANGES), eager.checkpoint(*CHANGES))
    assert len(recorders) == 2


def test_recording_takes_no_step(recorders: list[TapeRecorder]):
    seen: list[float] = []
    replayed = GraphedStep(lambda images, _: seen.append(float(images[0, 0, 0, 0])), TapeRecorder())  # type: ignore[arg-type]
    labels = torch.zeros(2, dtype=torch.long)
    for value in range(6):
        replayed(torch.full((2, 1, 1, 1), value), labels)
    assert seen == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_learning_rates_of_a_recordable_optimizer_stay_in_their_place(kind: Any):
    optimizer = kind([torch.nn.Parameter(torch.ones(3))], lr=0.5, fused=True)
    make_recordable(optimizer, torch.device("cpu"))
    [group] = optimizer.param_groups
    place = group["lr"].data_ptr()
    set_learning_rate(optimizer, 0.25)
    assert (group["lr"].item(), group["lr"].data_ptr()) == (0.25, place)
    assert group.get("capturable", True)
