"""Runs from Python give what the commands give."""

from pathlib import Path

import pytest
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
    with pytest.raises(ConfigError, match="does not exist"):
        run.predict(pets / "nowhere.png")


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
