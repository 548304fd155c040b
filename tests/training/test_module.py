import math
from itertools import cycle
from pathlib import Path

import pytest
import torch
from pytorch_lightning import seed_everything
from support.lab import FailsAt, Lab, same_weights, scalars, without_times
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.config.enums import Optimizer, Schedule
from resnet_lab.config.schema import Config
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.loader import EvalLoader, TrainLoader
from resnet_lab.data.sources import Images
from resnet_lab.data.stores import OnDevice
from resnet_lab.interrupts import RunFailed
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.training.optimizer import STATES
from resnet_lab.training.schedule import rates

pytestmark = pytest.mark.slow

BATCHES = 3  # an epoch of the tiny laboratory


def loaders(config: Config) -> tuple[TrainLoader, EvalLoader]:
    """The batches of training and validation, without Lightning."""
    data = ImageData(config)
    images = OnDevice(Images(data.source.train.pixels, data.source.train.labels), torch.device("cpu"))
    train = TrainLoader(images, data.train_rows, data.normalise, config, steps_per_call=1)
    return train, EvalLoader(images, data.validation_rows, data.normalise, config)


def initial(config: Config) -> ResNetV2:
    seed_everything(config.seed, verbose=False)
    return ResNetV2(config.model).to(memory_format=torch.channels_last)


def num_wrong(logits: Tensor, labels: Tensor) -> int:
    return sum(int(row.argmax()) != int(label) for row, label in zip(logits, labels, strict=True))


def weights(lab: Lab, *changes: str) -> dict[str, Tensor]:
    """The network's part of the last checkpoint."""
    return {name.removeprefix("net."): tensor for name, tensor in lab.checkpoint(*changes)["state_dict"].items()}


def distance(net: ResNetV2, after: dict[str, Tensor]) -> float:
    """The norm of the change of all parameters."""
    return math.sqrt(sum(float((after[name] - p.detach()).square().sum()) for name, p in net.named_parameters()))


def test_training_is_a_plain_loop(lab: Lab):
    changes = ("optim.nesterov=true", "optim.milestones=[3,5]")
    history = lab.run(*changes)["history"]
    config = lab.config(*changes)
    train, validation = loaders(config)
    net = initial(config)
    sgd = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True, fused=True)
    lrs = iter([0.1, 0.1, 0.1, 0.01, 0.01, 0.001])  # of the six mini-batches
    for epoch, record in enumerate(history):
        train.set_epoch(epoch)
        net.train()
        loss_sum = wrong = count = 0.0
        for images, labels in train:
            sgd.param_groups[0]["lr"] = lr = next(lrs)
            logits = net(images)
            loss = F.cross_entropy(logits, labels)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            loss_sum += loss.item() * len(labels)
            wrong += num_wrong(logits, labels)
            count += len(labels)
        assert record["epoch"] == epoch + 1
        assert record["train/loss"] == pytest.approx(loss_sum / 48, rel=1e-5)
        assert record["train/error"] == pytest.approx(100 * wrong / 48)
        assert record["lr"] == pytest.approx(lr)
        assert count == 48
        net.eval()
        with torch.no_grad():
            wrong = sum(num_wrong(net(images), labels) for images, labels in validation)
        assert record["val/error"] == pytest.approx(100 * wrong / 16)
    trained = weights(lab, *changes)
    assert trained.keys() == net.state_dict().keys()
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, trained[name]), name


def test_steps_per_call_change_nothing(tmp_path: Path):
    changes = ("optim.batch_size=10", "trainer.max_epochs=2")  # 4 whole mini-batches and one of 8 images
    one = Lab(tmp_path / "1")
    one.run(*changes, "trainer.steps_per_call=1")
    assert one.checkpoint(*changes)["global_step"] == 2 * 5
    for steps in (3, 5, 100):
        several = Lab(tmp_path / str(steps))
        several.run(*changes, f"trainer.steps_per_call={steps}")
        assert same_weights(one.checkpoint(*changes), several.checkpoint(*changes)), steps
        assert several.checkpoint(*changes)["global_step"] == 2 * 5
        path = several.directory(*changes).path
        assert [step for step, _ in scalars(path)["loss/train"]] == [5, 10]


# Every schedule, with a schedule of the decay, and every optimiser.
RECIPES = zip(Schedule, cycle(Optimizer), cycle(["step", "linear", "one_cycle", "constant", "cosine"]), strict=False)


@pytest.mark.parametrize(("schedule", "optim", "decay"), RECIPES)
def test_a_run_follows_its_schedules_and_resumes_exactly(
    lab: Lab, tmp_path: Path, schedule: Schedule, optim: Optimizer, decay: str
):
    changes = ["stacks=one", "units=n1", f"optim={optim.name}", "optim.weight_decay=0.1", "optim.lr=0.01"]
    changes += [f"optim.schedule={schedule.name}", f"optim.decay_schedule={decay}", "trainer.max_epochs=4"]
    changes += ["optim.schedule.patience=0", "optim.schedule.watch=val/error"]
    history = lab.run(*changes)["history"]
    config = lab.config(*changes).optim
    for epoch, record in enumerate(history):
        expected = rates(config, BATCHES * (epoch + 1) - 1, BATCHES * 4, history[:epoch])
        assert record["lr"] == expected.lr
        assert record.get("weight_decay", 0.1) == expected.decay
        assert record.get("momentum", expected.momentum) == expected.momentum
    assert len({record["lr"] for record in history}) > 1 or schedule is Schedule.constant
    state = lab.checkpoint(*changes)["optimizer_states"][0]["state"]
    assert len(state) == len(list(initial(lab.config(*changes)).parameters()))
    assert all(set(entry) == STATES[optim] for entry in state.values())
    resumed = Lab(tmp_path / "resumed")
    with pytest.raises(RunFailed):
        resumed.run(*changes, callbacks=[FailsAt(2)])
    assert without_times(resumed.run(*changes)["history"]) == without_times(history)
    assert same_weights(resumed.checkpoint(*changes), lab.checkpoint(*changes))


def test_clipping_bounds_the_step(lab: Lab):
    one_step = (
        "trainer.max_epochs=1",
        "trainer.max_batches=1",
        "optim.lr=1",
        "optim.momentum=0",
        "optim.weight_decay=0",
    )
    steps = {}
    for norm in (0, 0.01, 1000):
        changes = (*one_step, "optim.weight_decay=0", f"optim.clip_norm={norm}")
        lab.run(*changes)
        steps[norm] = distance(initial(lab.config(*changes)), weights(lab, *changes))
    assert steps[0.01] == pytest.approx(0.01, rel=1e-3)
    assert steps[0] > 0.05
    assert steps[1000] == steps[0]


def test_label_smoothing_belongs_to_training(lab: Lab):
    plain, smooth = (lab.run("optim.lr=0", f"optim.label_smoothing={share}")["last"] for share in (0, 0.5))
    assert plain["train_loss"] != pytest.approx(smooth["train_loss"], rel=1e-4)
    for name in ("train_error", "val_error", "val_loss", "test_error", "test_loss"):
        assert plain[name] == smooth[name], name


def test_the_smaller_last_batch_counts_by_its_images(lab: Lab):
    changes = ("optim.lr=0", "optim.batch_size=40", "trainer.max_epochs=1")
    record = lab.run(*changes)["history"][0]
    train, _ = loaders(lab.config(*changes))
    net = initial(lab.config(*changes)).train()
    losses = [(F.cross_entropy(net(images), labels).item(), len(labels)) for images, labels in train]
    assert [count for _, count in losses] == [40, 8]
    assert record["train/loss"] == pytest.approx(sum(loss * count for loss, count in losses) / 48, rel=1e-5)


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_precisions(lab: Lab, precision: str):
    changes = (f"trainer.precision={precision}", "trainer.max_epochs=1")
    result = lab.run(*changes)
    assert result["precision"] == precision
    floats = {tensor.dtype for tensor in weights(lab, *changes).values() if tensor.is_floating_point()}
    assert floats == {torch.float64 if precision == "64-true" else torch.float32}
    assert 0 < result["last"]["train_loss"] < 10


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_a_run_continues_in_full_precision(tmp_path: Path, precision: str):
    change, labs = f"trainer.precision={precision}", [Lab(tmp_path / name) for name in ("straight", "interrupted")]
    with pytest.raises(RunFailed, match="out of luck"):
        labs[1].run(change, callbacks=[FailsAt(1)])
    for lab in labs:
        lab.run(change)
    assert same_weights(*(lab.checkpoint(change) for lab in labs))


def test_a_run_that_continues_in_another_precision_says_so(lab: Lab, caplog: pytest.LogCaptureFixture):
    """As where `auto` has found a GPU that supports bf16, and then a machine without one."""
    with pytest.raises(RunFailed):
        lab.run(callbacks=[FailsAt(1)])
    path = lab.directory().last
    checkpoint = lab.checkpoint()
    checkpoint["resnet_lab"] |= {"precision": "bf16-mixed", "device": "NVIDIA H100"}
    torch.save(checkpoint, path)
    lab.run()
    said = "so far the run was computed in bf16-mixed (NVIDIA H100); it continues in 32-true, which gives other numbers"
    assert f"note: {said}" in caplog.messages


def test_half_the_precision_is_other_numbers(lab: Lab):
    full, half = (lab.run(f"trainer.precision={p}", "trainer.max_epochs=1")["last"] for p in ("32", "bf16"))
    assert full["train_loss"] != half["train_loss"]
    assert full["train_loss"] == pytest.approx(half["train_loss"], rel=0.05)
