"""Runs from Python give what the commands give."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning import Callback
from support.lab import FailsAt, Lab

from resnet_lab import Run, load_runs, train
from resnet_lab.config.canonical import canonical
from resnet_lab.config.checks import ConfigError
from resnet_lab.interrupts import RunFailed


def test_a_run_is_trained_found_and_used(lab: Lab):
    config = lab.config("diagnostics=off")
    trained = train(config, callbacks=[])
    again = train(config)  # done already
    assert again.path == trained.path == lab.directory("diagnostics=off").path
    assert trained.config.optim == config.optim
    assert [record["epoch"] for record in trained.history] == [1, 2]
    assert trained.net.config == config.model
    scores = trained.evaluate()
    assert scores.error == trained.result["last"]["test_error"]
    assert Run(trained.path).evaluate(checkpoint="best").error == trained.result["best"]["test_error"]
    with pytest.raises(ConfigError, match=r"optim\.lr=1"):
        trained.evaluate("optim.lr=1")


def test_files_are_classified_as_by_the_command(pets: Path, pets_run: Path):
    run, files = Run(pets_run), sorted((pets / "test").rglob("*.*"))
    found = run.predict(pets / "test", top=2)
    assert [one.file for one in found] == files
    assert all(not one.failure and sum(p for _, p in one.ranking) == pytest.approx(1) for one in found)
    wrong = sum(one.ranking[0][0] != one.file.parent.name for one in found)
    assert 100 * wrong / len(files) == pytest.approx(run.result["last"]["test_error"])
    for wrong_call, message in (
        (lambda: run.predict(files[0], pets / "nowhere.png"), "does not exist"),
        (lambda: run.predict(files[0], top=0), "top must be at least 1, got 0"),
        (lambda: run.predict(files[0], batch_size=0), "batch_size must be at least 1, got 0"),
        (lambda: run.evaluate(corrupt=["blur", "fog"]), "corrupt: fog is not known; choose from gaussian, mask, blur"),
    ):
        with pytest.raises(ConfigError, match=message):
            wrong_call()


class PressesCtrlC(Callback):
    """In the second epoch."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == 1:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_is_a_keyboard_interrupt_and_the_next_call_continues(lab: Lab):
    config = lab.config("diagnostics=off")
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(config, callbacks=[PressesCtrlC()])
    assert signal.getsignal(signal.SIGINT) is handler
    assert lab.directory("diagnostics=off").status()["state"] == "interrupted"
    assert len(train(config, callbacks=[]).history) == 2


def test_a_dry_run_trains_nothing(lab: Lab):
    with pytest.raises(ConfigError, match="dry_run=true trains nothing"):
        train(lab.config("dry_run=true"))


def test_a_network_in_double_precision_is_evaluated_in_it(lab: Lab):
    run = train(lab.config("trainer.precision=64"), callbacks=[])
    assert run.evaluate().error == run.result["last"]["test_error"]


def test_what_is_no_run_is_one_message(tmp_path: Path):
    with pytest.raises(ConfigError, match="is not a run directory"):
        Run(tmp_path)


def test_runs_as_records(lab: Lab):
    lab.run("seed=1")
    with pytest.raises(RunFailed):
        lab.run("seed=2", callbacks=[FailsAt(1)])
    done, failed = load_runs(lab.output_dir)
    assert done.keys() - failed.keys() == {f"{when}.{part}_error" for when in ("last", "best") for part in PARTS}
    assert canonical(lab.config("seed=1")).items() <= done.items()
    result = lab.directory("seed=1").result()
    assert (done["state"], done["seed"], done["last.test_error"]) == ("done", 1, result["last"]["test_error"])
    assert (failed["state"], failed["seed"], failed["params"]) == ("failed", 2, None)


PARTS = ("train", "val", "test")
