"""More epochs: a run begins with those of a shorter run, wherever training them again would give the same numbers."""

import shutil
from pathlib import Path

import pytest
import torch
from support.lab import FailsAt, Lab, events, same_weights, scalars, without_times

from resnet_lab.callbacks.dashboard import Dashboard
from resnet_lab.interrupts import RunFailed

SMALL = ("units=n1", "stacks=one", "data.num_images=32", "data.validation=8")
CONSTANT = (*SMALL, "optim.schedule=constant")


def epochs(number: int, *changes: str) -> tuple[str, ...]:
    return (*changes, f"trainer.max_epochs={number}")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "best_epoch"), [(0, 2), (1, 4)])  # by the shorter run, and after it
def test_two_then_four_epochs_equal_four_at_once(tmp_path: Path, seed: int, best_epoch: int):
    twice, once = Lab(tmp_path / "twice"), Lab(tmp_path / "once")
    short, long = (epochs(number, *CONSTANT, f"seed={seed}") for number in (2, 4))
    twice.run(*short, callbacks=[Dashboard(twice.config(*short))])
    before = contents(twice.directory(*short).path)
    result = twice.run(*long, callbacks=[Dashboard(twice.config(*long)), FailsAt(1)])
    expected = once.run(*long, callbacks=[Dashboard(once.config(*long))])

    assert contents(twice.directory(*short).path) == before
    shorter = twice.directory(*short).path
    assert result.pop("continued_from") == {"run": f"{shorter.parent.name}/{shorter.name}", "epochs": 2, "step": 4}
    assert expected.pop("continued_from") is None
    assert without_times(result) == without_times(expected)
    directory, straight = twice.directory(*long), once.directory(*long)
    assert same_weights(twice.checkpoint(*long), once.checkpoint(*long))
    best, expected_best = (torch.load(d.best, weights_only=True) for d in (directory, straight))
    assert same_weights(best, expected_best)
    assert best["resnet_lab"]["config"]["trainer"]["max_epochs"] == 4
    assert len(best["history"]) == result["best"]["epoch"] == best_epoch
    assert result["wall_seconds"] > twice.directory(*short).result()["wall_seconds"]

    written, as_expected = scalars(directory.path), scalars(straight.path)
    assert written.keys() == as_expected.keys()
    for tag in written.keys() - {"speed/seconds", "speed/images_per_second"}:
        assert written[tag] == as_expected[tag], tag
    read, whole = events(directory.path), events(straight.path)
    for kind in ("images", "histograms", "tensors"):
        assert sorted(read.Tags()[kind]) == sorted(whole.Tags()[kind])
    assert "max_epochs: 4" in read.Tensors("config/text_summary")[-1].tensor_proto.string_val[0].decode()
    assert all(len(read.Tensors(tag)) == len(whole.Tensors(tag)) for tag in read.Tags()["tensors"])


def test_it_is_said_and_an_interrupted_run_continues_with_its_own(lab: Lab, said: pytest.LogCaptureFixture):
    short, long = (epochs(number, *CONSTANT) for number in (1, 3))
    lab.run(*short)
    shorter = lab.directory(*short).path
    begun = f"continue after epoch 1 of 3; epochs 1 to 1 are those of {shorter.parent.name}/seed-0"
    assert lab.run(*long, "dry_run=true") == {}
    assert begun in said.text
    assert not lab.directory(*long).path.exists()
    with pytest.raises(RunFailed):
        lab.run(*long, callbacks=[FailsAt(2)])
    assert begun in lab.directory(*long).log_file.read_text()
    shutil.rmtree(shorter)
    result = lab.run(*long)
    assert f"continue after epoch 2 of 3; epochs 1 to 1 are those of {shorter.parent.name}/seed-0" in said.text
    assert result["continued_from"]["epochs"] == 1
    assert [epoch for epoch, _ in scalars(lab.directory(*long).path)["lr"]] == [2, 4, 6]


def test_the_longest_shorter_run_that_is_done_and_the_same_is_taken(lab: Lab):
    for number in (1, 2):
        lab.run(*epochs(number, *CONSTANT))
    with pytest.raises(RunFailed):
        lab.run(*epochs(3, *CONSTANT), callbacks=[FailsAt(2)])
    lab.run(*epochs(3, *CONSTANT, "optim.lr=0.2"))
    lab.run(*epochs(3, *CONSTANT, "seed=1"))
    assert lab.run(*epochs(4, *CONSTANT))["continued_from"]["epochs"] == 2


@pytest.mark.parametrize(
    ("schedule", "possible"),
    [
        (("optim.schedule=cosine",), False),
        (("optim.milestones=[0.5]", "optim.lr_factors=[0.1]"), False),
        (("optim.milestones=[3]", "optim.lr_factors=[0.1]"), True),
        (("optim.milestones=[0.5]", "optim.lr_factors=[1.0]"), True),
        (("optim.schedule=cosine", "optim.warmup_iterations=2"), True),  # the first epoch is the warm-up
        (("optim.schedule=constant", "optim.decay_schedule=linear"), False),
        (("optim.schedule=constant", "optim.decay_schedule=step", "optim.decay_schedule.milestones=[0,3]"), True),
        (("optim.schedule=plateau",), True),
    ],
)
def test_only_where_the_learning_rates_are_equal(
    lab: Lab, said: pytest.LogCaptureFixture, schedule: tuple[str, ...], possible: bool
):
    short, long = (epochs(number, *SMALL, *schedule) for number in (1, 2))
    lab.run(*short)
    result = lab.run(*long)
    assert (result["continued_from"] is not None) is possible
    why = f"gives its first 1 epoch other rates than those of {lab.directory(*short).path}"
    assert (why in said.text) is not possible


def test_without_its_checkpoint_a_shorter_run_is_no_help_and_no_obstacle(lab: Lab, said: pytest.LogCaptureFixture):
    lab.run(*epochs(1, *CONSTANT))
    lab.directory(*epochs(1, *CONSTANT)).last.unlink()
    assert lab.run(*epochs(2, *CONSTANT))["continued_from"] is None
    assert "this run starts at epoch 1, since its first 1 epoch cannot be taken over" in said.text
