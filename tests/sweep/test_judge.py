"""A sweep that may stop its jobs before they end, as a search with a pruner does."""

from pathlib import Path

import pytest
from support.command import Command
from support.lab import TINY, Lab, same_weights, without_times
from support.sweeps import states

from resnet_lab.callbacks.message import Progress
from resnet_lab.callbacks.reporter import Reporter
from resnet_lab.interrupts import Pruned
from resnet_lab.report.collect import collect
from resnet_lab.report.tables import troubles
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.sweep.launch import Launch
from resnet_lab.sweep.worker import ask, forks

pytestmark = pytest.mark.slow


def test_a_run_stops_before_an_epoch_and_can_be_continued(lab: Lab):
    heard: list[list[float]] = []

    def answer(val_scores: list[float]) -> str:
        heard.append(val_scores)
        return "stopped: too bad" if len(val_scores) == 2 else ""

    sent: list[Progress] = []
    with pytest.raises(Pruned, match="stopped: too bad"):
        lab.run("trainer.max_epochs=3", callbacks=[Reporter(sent.append, answer)])
    directory = lab.directory("trainer.max_epochs=3")
    assert [progress.epoch for progress in sent] == [0, 1, 2]
    history = lab.checkpoint("trainer.max_epochs=3")["history"]
    assert heard == [[record["val/error"] for record in history[:epochs]] for epochs in (1, 2)]
    status = directory.status()
    assert (status["state"], status["why"], status["epochs"]) == ("pruned", "stopped: too bad", 2)
    found = collect([lab.output_dir])
    assert (len(found.done), len(found.unfinished)) == (0, 1)
    assert f"{directory.path}: pruned (stopped: too bad)" in troubles(found, [])

    with pytest.raises(Pruned, match="stopped: too bad"):  # before it trains at all
        lab.run("trainer.max_epochs=3", callbacks=[Reporter(sent.append, answer)])
    assert len(lab.checkpoint("trainer.max_epochs=3")["history"]) == 2
    continued = lab.run("trainer.max_epochs=3", callbacks=[Reporter(sent.append, lambda val_scores: "")])
    straight = Lab(lab.output_dir / "straight")
    assert without_times(continued) == without_times(straight.run("trainer.max_epochs=3"))
    assert same_weights(lab.checkpoint("trainer.max_epochs=3"), straight.checkpoint("trainer.max_epochs=3"))


def test_a_run_without_validation_scores_is_not_judged(lab: Lab):
    assert lab.run("data.validation=0", callbacks=[Reporter(lambda progress: None, lambda val_scores: "stop")])


def test_a_sweep_stops_one_of_its_jobs(command: Command, monkeypatch: pytest.MonkeyPatch):
    def judge(number: int, val_scores: list[float]) -> str:
        return "it is the second" if (number, len(val_scores)) == (1, 2) else ""

    # As a search does, which sets `judge` of the launcher.
    monkeypatch.setattr("resnet_lab.sweep.launch.Launch", lambda *settings: Launch(*settings[:-1], judge))
    ended = command("-m", *TINY, "seed=0,1", "trainer.max_epochs=3")
    assert "[1/2]" in ended.stderr
    assert "seed=1: it is the second" in ended.stderr
    assert sorted(states(Path.cwd()).values()) == ["done", "pruned"]
    [stopped] = [path for path, state in states(Path.cwd()).items() if state == "pruned"]
    assert stopped.endswith("seed-1")
    assert RunDirectory(Path(stopped)).status()["epochs"] == 2

    monkeypatch.setattr("resnet_lab.sweep.launch.Launch", Launch)
    again = command("-m", *TINY, "seed=0,1", "trainer.max_epochs=3")
    assert again.status == 0
    assert "seed=1: continues after epoch 2 of 3" in again.stderr
    assert set(states(Path.cwd()).values()) == {"done"}
    assert RunDirectory(Path(stopped)).stored_config().trainer.log.name == "auto"  # what the sweep does not show


def test_a_job_whose_sweep_was_killed_goes_on():
    """Until it is interrupted; it has not failed."""
    hears, connection = forks().Pipe()
    hears.close()
    assert ask(connection, [50.0]) == ""
