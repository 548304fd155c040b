"""Runs that end before their last epoch: the time is up, or the validation score no longer falls."""

import pytest
from support.command import Command
from support.lab import TINY, FailsAt, Lab, same_weights, without_times

from resnet_lab.config.checks import ConfigError
from resnet_lab.interrupts import RunFailed, TimeUp
from resnet_lab.training import limit
from resnet_lab.training.history import out_of_patience

pytestmark = pytest.mark.slow

EPOCHS = ("trainer.max_epochs=3", "trainer.steps_per_call=1")
LIMIT = "trainer.max_time=0.1"


class Passing:
    """Time that passes by some seconds each time somebody looks."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds

    def monotonic(self) -> float:
        self.now += self.seconds
        return self.now


def test_time_is_up_in_mid_epoch_and_the_run_continues(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    """Of six seconds, 1.5 pass before each look: after two mini-batches, before the second epoch, and within it."""
    passing = Passing(1.5)
    with monkeypatch.context() as patch:
        patch.setattr(limit, "time", passing)
        patch.setattr("time.perf_counter", Passing(0.001).monotonic)  # short epochs, whatever the machine does
        with pytest.raises(TimeUp, match=r"stopped after trainer\.max_time=0\.1 minutes; run the same command again"):
            lab.run(*EPOCHS, LIMIT)
    assert passing.now == 1.5 + 6
    directory = lab.directory(*EPOCHS)
    assert directory.status()["state"] == "interrupted"
    assert directory.status()["why"].startswith("stopped after trainer.max_time=0.1 minutes")
    assert len(lab.checkpoint(*EPOCHS)["history"]) == 1
    continued = lab.run(*EPOCHS, "trainer.max_time=1000")
    straight = Lab(lab.output_dir / "straight")
    assert without_times(continued) == without_times(straight.run(*EPOCHS))
    assert same_weights(lab.checkpoint(*EPOCHS), straight.checkpoint(*EPOCHS))


def test_an_epoch_that_would_not_fit_does_not_begin(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    """No time passes for the limit, but the first epoch has taken longer than all that is left."""
    monkeypatch.setattr("time.perf_counter", Passing(1.0).monotonic)
    monkeypatch.setattr(limit, "time", Passing(0.0))
    with pytest.raises(TimeUp):
        lab.run(*EPOCHS, "trainer.max_time=0.01")
    assert len(lab.checkpoint(*EPOCHS)["history"]) == 1
    assert lab.checkpoint(*EPOCHS)["global_step"] == 3


def test_a_limit_shorter_than_an_epoch_says_so(lab: Lab):
    with pytest.raises(TimeUp, match=r"no epoch has ended in this time: increase trainer\.max_time"):
        lab.run(*EPOCHS, "trainer.max_time=1e-9")


def test_the_exit_status_is_that_of_timeout(command: Command):
    ended = command(*TINY, "trainer.max_time=1e-9")
    assert (ended.status, ended.stdout) == (124, "")
    assert ended.stderr.splitlines()[-1].startswith("stopped after trainer.max_time=1e-09 minutes; ")


def test_jobs_of_a_sweep_are_stopped_and_have_not_failed(command: Command):
    ended = command("-m", *TINY, "trainer.max_time=1e-9", "seed=0,1")
    assert ended.status == 1
    heading, jobs = ended.stderr.splitlines()[-2:]
    assert heading == "2 of 2 jobs stopped, to be continued:"
    assert jobs.startswith("  seed=0, seed=1: stopped after trainer.max_time=")


# --- patience


def history(*scores: float) -> list[dict[str, float | None]]:
    return [{"epoch": epoch, "val/error": score} for epoch, score in enumerate(scores, 1)]


def test_patience_counts_from_the_first_epoch_with_the_lowest_score():
    assert not out_of_patience([], "error", 1)
    assert not out_of_patience(history(3, 2), "error", 1)
    assert out_of_patience(history(3, 2, 2), "error", 1)  # the same score is not lower
    assert not out_of_patience(history(3, 2, 2), "error", 2)
    assert not out_of_patience(history(3, 2, 2, 1), "error", 2)
    assert out_of_patience(history(0, 2, 1), "error", 2)
    assert not out_of_patience(history(0, 2, 1), "error", None)


PATIENT = ("trainer.max_epochs=40", "trainer.patience=2", "optim.lr=0")  # the same score after each epoch


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("impatient"))
    lab.run(*PATIENT)
    return lab


def test_a_run_ends_early_and_says_so(impatient: Lab):
    directory = impatient.directory(*PATIENT)
    result = directory.result()
    errors = [record["val/error"] for record in result["history"]]
    best = errors.index(min(errors)) + 1
    assert (result["epochs"], result["stopped_early"]) == (best + 2, True)
    assert (result["last"]["epoch"], result["best"]["epoch"]) == (best + 2, best)
    assert directory.status()["state"] == "done"
    assert f"(trainer.patience): training ends after epoch {best + 2} of 40" in directory.log_file.read_text()


@pytest.mark.parametrize("epoch", [1, "test"])
def test_an_interrupted_run_ends_at_the_same_epoch(
    lab: Lab, impatient: Lab, monkeypatch: pytest.MonkeyPatch, epoch: int | str
):
    with monkeypatch.context() as patch:
        if epoch == "test":
            patch.setattr("resnet_lab.training.run.Job._test", lambda *_: 1 // 0)
        with pytest.raises(RunFailed):
            lab.run(*PATIENT, callbacks=[FailsAt(1)] if epoch == 1 else [])
    assert without_times(lab.run(*PATIENT)) == without_times(impatient.directory(*PATIENT).result())
    assert same_weights(lab.checkpoint(*PATIENT), impatient.checkpoint(*PATIENT))


def test_patience_needs_validation_images(lab: Lab):
    with pytest.raises(ConfigError, match=r"trainer\.patience=2 needs a validation part, but data\.validation is 0"):
        lab.config("trainer.patience=2", "data.validation=0")
    with pytest.raises(ConfigError, match=r"trainer\.patience must be at least 1, got 0"):
        lab.config("trainer.patience=0")
    with pytest.raises(ConfigError, match=r"trainer\.max_time must be a number of minutes above 0, got -1"):
        lab.config("trainer.max_time=-1")
