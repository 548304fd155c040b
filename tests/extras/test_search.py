"""Searches by Optuna, kept in a database."""

import re
import signal
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from support.sweeps import DEADLINE, Sweep, ends, group_members, runs, states

from resnet_lab.rundir.directory import RunDirectory

SEARCH = ("hydra/sweeper=search", "hydra.sweeper.study_name=it")
MEDIAN, HALVING = "hydra/sweeper/pruner=median", "hydra/sweeper/pruner=halving"
LOCAL_CLUSTER = ("hydra/launcher=slurm", "hydra.launcher.cluster=local", "hydra.launcher.gpus_per_node=0")
SPACE = ("units=n2,n3", "optim.lr=tag(log,interval(0.001,0.1))")


def study(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="it", storage=f"sqlite:///{folder}/outputs/searches.db")


def results(folder: Path) -> list[dict[str, object]]:
    return [RunDirectory(folder / path).result() for path in runs(folder)]


def test_a_search_finds_the_least_error_and_is_not_begun_again(tmp_path: Path):
    trials = (*SEARCH, *SPACE, "hydra.sweeper.n_trials=4")
    status, said = Sweep(tmp_path, *trials).end()
    assert status == 0, said
    errors = [result["last"]["val_error"] for result in results(tmp_path)]
    assert len(errors) == 4  # with a learning rate of its own each
    assert {result["sweeper"] for result in results(tmp_path)} == {"search"}
    assert study(tmp_path).best_value == min(errors)
    assert sorted(trial.value for trial in study(tmp_path).trials) == sorted(errors)
    status, said = Sweep(tmp_path, *trials).end()
    assert status == 0
    assert "4 of 4 trials have ended" in said
    status, said = Sweep(tmp_path, *trials, "hydra.sweeper.n_trials=5").end()
    assert status == 0
    assert len(study(tmp_path).trials) == len(results(tmp_path)) == 5


def test_several_objectives(tmp_path: Path):
    """The values of the trials are those of the runs; the front is what no other trial is better than in both."""
    sampler = "hydra/sweeper/sampler=nsgaii"
    status, said = Sweep(
        tmp_path, *SEARCH, sampler, *SPACE, "objective=[val_error,macs]", "hydra.sweeper.n_trials=6"
    ).end()
    assert status == 0, said
    values = {(result["last"]["val_error"], result["macs"]) for result in results(tmp_path)}
    assert {tuple(trial.values) for trial in study(tmp_path).trials} == values
    front = {one for one in values if not any(o[0] <= one[0] and o[1] <= one[1] for o in values - {one})}
    assert {tuple(trial.values) for trial in study(tmp_path).best_trials} == front
    for error, macs in front:
        assert f"best: val_error {error:g}, macs {macs:g} with" in said


def test_trials_that_fail_do_not_end_the_search(tmp_path: Path):
    """One learning rate diverges, one reduction cannot be."""
    sampler = ("hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=0", "hydra.sweeper.n_trials=8")
    status, said = Sweep(tmp_path, *SEARCH, *sampler, "optim.lr=1e30,0.01", "model.reduction=[4],[3]").end()
    assert status == 0, said
    good = {"optim.lr": 0.01, "model.reduction": "[4]"}
    trials = study(tmp_path).trials
    assert len(trials) == 8
    assert {trial.state for trial in trials if trial.params == good} == {TrialState.COMPLETE}
    assert {trial.state for trial in trials if trial.params != good} == {TrialState.FAIL}
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (1, "none of 2 trials succeeded"),
        (0.5, "2 of 2 parallel trials failed, more than hydra.sweeper.max_failure_rate=0.5 allows"),
    ],
)
def test_a_search_in_which_all_trials_fail(tmp_path: Path, rate: float, message: str):
    failing = ("optim.lr=1e30,1e31", "hydra.sweeper.n_trials=2", f"hydra.sweeper.max_failure_rate={rate}")
    status, said = Sweep(tmp_path, *SEARCH, *failing).end()
    assert (status, said.splitlines()[-1]) == (1, message)


def test_a_killed_search_goes_on_with_the_trials_that_were_under_way(tmp_path: Path):
    trials = (*SEARCH, *SPACE, "hydra.sweeper.n_trials=3", "trainer.max_epochs=8", "data.num_images=2000")
    sweep = Sweep(tmp_path, *trials)
    while not any((tmp_path / path / "checkpoints" / "last.ckpt").exists() for path in runs(tmp_path)):
        assert sweep.poll() is None
    sweep.signal_group(signal.SIGKILL)
    sweep.communicate(timeout=DEADLINE)
    assert all(ends(process) for process in group_members(sweep.pid))
    begun = runs(tmp_path)
    under_way = [trial.params for trial in study(tmp_path).trials]
    assert {trial.state for trial in study(tmp_path).trials} == {TrialState.RUNNING}
    status, said = Sweep(tmp_path, *trials).end()
    assert status == 0, said
    complete = study(tmp_path).get_trials(states=[TrialState.COMPLETE])
    assert len(complete) == 3
    assert [trial.params for trial in complete[: len(under_way)]] == under_way
    assert set(begun) < set(runs(tmp_path))
    assert set(states(tmp_path).values()) == {"done"}
    assert any("continue after epoch" in RunDirectory(tmp_path / path).log_file.read_text() for path in begun)


def test_a_search_that_is_started_twice_is_one(tmp_path: Path):
    """The second says who is in its way, and takes nothing from the first."""
    trials = (*SEARCH, *SPACE, "hydra.sweeper.n_trials=2", "trainer.max_epochs=20", "data.num_images=2000")
    first = Sweep(tmp_path, *trials)
    first.read_until("training for")
    status, said = Sweep(tmp_path, *trials).end()
    assert status == 1
    assert len(said.splitlines()) == 1
    assert said.startswith("another process is running sqlite:///outputs/searches.db, study it: wait until it ends")
    status, said = first.end()
    assert status == 0, said
    assert [trial.state for trial in study(tmp_path).trials] == [TrialState.COMPLETE] * 2


def test_a_search_by_submitit(tmp_path: Path):
    """Both at once; trials that are equal share a run, for which the second waits."""
    status, said = Sweep(
        tmp_path, *SEARCH, *LOCAL_CLUSTER, "units=n2,n3", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=3"
    ).end()
    assert status == 0, said
    assert [trial.state for trial in study(tmp_path).trials] == [TrialState.COMPLETE] * 3
    assert len(runs(tmp_path)) <= 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["dry_run=true"], "dry_run=true: a search cannot list its jobs"),
        (["hydra.sweeper.n_trials=0"], r"hydra\.sweeper\.n_trials must be a whole number above 0, got 0"),
        (["hydra.sweeper.n_jobs=0"], r"hydra\.sweeper\.n_jobs must be a whole number above 0, got 0"),
        (["data.validation=0"], "data.validation is 0"),
        (["hydra/sweeper/sampler=grid"], "hydra/sweeper/sampler=grid is not a search"),
        (["hydra/sweeper/sampler=best"], "there is no hydra/sweeper/sampler=best"),
        (["hydra/sweeper/pruner=best"], "there is no hydra/sweeper/pruner=best; .* can be: halving, median"),
        (["hydra.sweeper.pruner=median"], "a pruner is chosen as hydra/sweeper/pruner=median"),
        ([MEDIAN, "hydra.sweeper.pruner.n_startup_trials=-1"], r"hydra\.sweeper\.pruner: Number of startup trials"),
        ([MEDIAN, "objective=[macs]"], r"hydra/sweeper/pruner .* needs objective=\[val_error\], got \[macs\]"),
        ([MEDIAN, *LOCAL_CLUSTER], "hydra/sweeper/pruner needs hydra/launcher=local"),
    ],
)
def test_bad_use_is_one_message(tmp_path: Path, overrides: list[str], message: str):
    status, said = Sweep(tmp_path, *SEARCH, "units=n2,n3", *overrides).end()
    assert status == 1
    assert len(said.splitlines()) == 1
    assert re.match(message, said)
    assert not (tmp_path / "outputs").exists()


def test_a_space_that_cannot_be_is_no_failed_trial(tmp_path: Path):
    status, said = Sweep(tmp_path, *SEARCH, "optim.lr=tag(log,interval(0,0.1))").end()
    assert status == 1
    assert "trials succeeded" not in said
    assert "`low` value must be larger than 0 for a log distribution" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("storage", ["nonsense", "sqlite:////nowhere/at/all.db"])
def test_a_database_that_cannot_be_opened_is_one_message(tmp_path: Path, storage: str):
    status, said = Sweep(tmp_path, *SEARCH, "units=n2,n3", f"hydra.sweeper.storage={storage}").end()
    assert status == 1
    assert said.startswith(f"hydra.sweeper.storage={storage} cannot be opened: ")
    assert len(said.splitlines()) == 1


# --- pruners

LEARNS = ("data=digits", "data.num_classes=10", "data.num_train=640", "data.validation=100", "bottleneck=none")
PRUNED = (*SEARCH, *LEARNS, "trainer.max_epochs=3", "optim.lr=0.1,0", "hydra.sweeper.n_jobs=1")


@pytest.mark.parametrize(
    ("pruner", "chosen", "settings"),
    [
        ("MedianPruner", MEDIAN, ["n_startup_trials=1", "n_warmup_steps=2"]),
        ("SuccessiveHalvingPruner", HALVING, ["min_resource=2"]),
    ],
)
def test_a_pruner_stops_what_does_not_learn(tmp_path: Path, pruner: str, chosen: str, settings: list[str]):
    """The first trial learns and ends, the second stops after two epochs, and stops again when it is repeated."""
    (tmp_path / "outputs").mkdir()
    begun = optuna.create_study(study_name="it", storage=f"sqlite:///{tmp_path}/outputs/searches.db")
    for lr in (0.1, 0, 0):
        begun.enqueue_trial({"optim.lr": lr})
    search = (*PRUNED, chosen, *(f"hydra.sweeper.pruner.{setting}" for setting in settings))

    status, said = Sweep(tmp_path, *search, "hydra.sweeper.n_trials=2").end()
    assert status == 0, said
    assert f"stopped after epoch 2 by {pruner}: val error " in said
    directories = {RunDirectory(tmp_path / path).stored_config().optim.lr: path for path in runs(tmp_path)}
    good, bad = (RunDirectory(tmp_path / directories[lr]) for lr in (0.1, 0))
    history = [record["val/error"] for record in good.result()["history"]]
    complete, pruned, _ = study(tmp_path).trials
    assert (complete.state, complete.value) == (TrialState.COMPLETE, history[2])
    assert complete.intermediate_values == {1: history[0], 2: history[1]}
    assert (pruned.state, [*pruned.intermediate_values]) == (TrialState.PRUNED, [1, 2])
    assert pruned.intermediate_values[2] > history[1]
    assert (bad.status()["state"], bad.status()["epochs"], bad.result()) == ("pruned", 2, {})
    assert f"best: val_error {history[2]:g} with optim.lr=0.1" in said

    status, said = Sweep(tmp_path, *search, "hydra.sweeper.n_trials=3").end()
    assert status == 0, said
    assert "2 of 3 trials have ended" in said
    assert "continues after epoch 2 of 3" in said
    assert study(tmp_path).trials[2].state == TrialState.PRUNED
    assert study(tmp_path).trials[2].intermediate_values == pruned.intermediate_values
    assert states(tmp_path) == {directories[0.1]: "done", directories[0]: "pruned"}


def test_a_trial_out_of_time_has_not_failed(tmp_path: Path):
    """The same command repeats it, and its run continues."""
    search = (*SEARCH, "optim.lr=0.01,0.1", "hydra.sweeper.n_trials=1")
    status, said = Sweep(tmp_path, *search, "trainer.max_time=1e-9").end()
    assert status == 1
    heading, reason = said.splitlines()[-2:]
    assert heading == "1 of 1 jobs stopped, to be continued:"
    assert "stopped after trainer.max_time=1e-09 minutes" in reason
    [stopped] = study(tmp_path).trials
    assert stopped.state == TrialState.RUNNING
    status, said = Sweep(tmp_path, *search).end()
    assert status == 0, said
    assert "0 of 1 trials have ended" in said
    [complete] = study(tmp_path).get_trials(states=[TrialState.COMPLETE])
    assert complete.params == stopped.params
    assert [*states(tmp_path).values()] == ["done"]
