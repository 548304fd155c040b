"""What is used of Hydra beyond its documentation: that Hydra needs it, and that it does what it is used for."""

import multiprocessing
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn, JobRuntime, JobStatus
from hydra.errors import HydraException, OverrideParseException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from resnet_lab.config import hydra_private
from resnet_lab.config.compose import load_config, prepare
from resnet_lab.config.groups import CONFIG_DIR

NAME = "a_name_of_its_own"


@pytest.fixture
def context() -> Iterator[HydraContext]:
    """Hydra, as a launcher or a sweeper knows it."""
    prepare([])
    with hydra_private.apart(), initialize_config_dir(str(CONFIG_DIR), version_base="1.3", job_name=NAME):
        yield HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks())


def sweep_config(context: HydraContext, *overrides: str) -> DictConfig:
    """What Hydra composes for a sweep as a whole."""
    return context.config_loader.load_configuration("config", list(overrides), RunMode.MULTIRUN)


# --- an application


def start(monkeypatch: pytest.MonkeyPatch, folder: Path, task: Any) -> None:
    """`python -m it seed=7` in an empty folder, with this task."""
    prepare([])
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["it", "seed=7"])
    with hydra_private.apart():
        hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name="config")(task)()


def test_errors_are_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def fails(composed: DictConfig) -> None:
        raise ZeroDivisionError

    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    with pytest.raises(SystemExit):
        start(monkeypatch, tmp_path, fails)
    assert "Set the environment variable HYDRA_FULL_ERROR=1" in capsys.readouterr().err
    hydra_private.hand_on_errors()
    with pytest.raises(ZeroDivisionError):
        start(monkeypatch, tmp_path, fails)


def test_a_run_sees_the_settings_of_its_application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen = []

    def task(composed: DictConfig) -> None:
        seen.append((hydra_private.app().mode, list(hydra_private.app().overrides.task), "hydra" in composed))

    start(monkeypatch, tmp_path, task)
    assert seen == [(RunMode.RUN, ["seed=7"], False)]


def test_something_else_is_composed_while_hydra_is_at_work(
    context: HydraContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    at_work = GlobalHydra.instance()
    with pytest.raises(ValueError, match="already initialized"):
        initialize_config_dir(str(CONFIG_DIR), version_base="1.3").__enter__()
    assert load_config("seed=3").seed == 3
    assert GlobalHydra.instance() is at_work
    assert at_work.is_initialized()
    seeds = []
    start(monkeypatch, tmp_path, lambda composed: seeds.append((composed.seed, load_config("seed=8").seed)))
    assert seeds == [(7, 8)]


# --- sweeps


def test_combinations(context: HydraContext):
    overrides = ["units=n2,n3", "+experiment=cifar10_20", "seed=range(2)", "model.filters=[16,32]"]
    assert hydra_private.combinations(context, overrides) == [
        [units, "+experiment=cifar10_20", seed, "model.filters=[16,32]"]
        for units in ("units=n2", "units=n3")
        for seed in ("seed=0", "seed=1")
    ]
    assert hydra_private.combinations(context, ["seed=0", "seed=1,2"]) == [["seed=1"], ["seed=2"]]  # the last one holds
    with pytest.raises(HydraException, match="does not support sweep type"):
        hydra_private.combinations(context, ["optim.lr=interval(0,1)"])
    with pytest.raises(OverrideParseException):
        hydra_private.combinations(context, ["units"])


def test_overrides_are_parsed(context: HydraContext):
    units, rate, flip = hydra_private.parsed(
        context, ["units=glob(two)", "optim.lr=tag(log,interval(0.1,1))", "+augment.flip.p=0.5"]
    )
    assert list(units.sweep_string_iterator()) == []  # it knows the options of groups
    assert (rate.get_key_element(), rate.value().start, rate.value().tags) == ("optim.lr", 0.1, {"log"})
    assert (flip.get_key_element(), flip.is_sweep_override(), flip.input_line) == (
        "+augment.flip.p", False, "+augment.flip.p=0.5"
    )  # fmt: skip


def test_the_grid_is_a_sweeper_of_the_public_kind():
    from hydra_plugins.resnet_lab_sweep import Grid

    assert next(kind for kind in Grid.__mro__ if kind.__module__.startswith("hydra.")) is Sweeper


def test_what_a_job_raised(capsys: pytest.CaptureFixture[str]):
    failed, ended = JobReturn(status=JobStatus.FAILED), JobReturn(status=JobStatus.COMPLETED)
    failed.return_value = error = ZeroDivisionError()
    ended.return_value = ValueError()  # which it returned
    assert hydra_private.failure(failed) is error
    assert hydra_private.failure(ended) is None
    assert capsys.readouterr().err == ""
    with pytest.raises(ZeroDivisionError):
        _ = failed.return_value
    assert capsys.readouterr().err != ""


def test_the_global_state_has_singletons_and_resolvers(context: HydraContext):
    """As engines hand it to the process of a job, by cloudpickle; pickle cannot send the resolvers."""
    state = hydra_private.global_state()
    assert state["instances"][JobRuntime].get("name") == NAME
    assert {"now", "hydra"} <= state["omegaconf_resolvers"].keys()
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(state)


def task(composed: DictConfig) -> list[Any]:
    """What a job in a process of its own finds."""
    app = hydra_private.app()
    year = OmegaConf.create({"year": "${now:%Y}"}).year
    return [os.getpid(), composed.seed, app.job.num, JobRuntime.instance().get("name"), len(year)]


def in_a_fresh_process(config: DictConfig, context: HydraContext, sent: Any) -> JobReturn:
    assert JobRuntime.instance().get("name") != NAME
    return hydra_private.run_job(task, config, context, sent)


def test_a_job_in_a_fresh_process(context: HydraContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    config = context.config_loader.load_sweep_config(sweep_config(context, "seed=0,1"), ["seed=1"])
    config.hydra.job.num = 5
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        returned = pool.apply(in_a_fresh_process, (config, context, hydra_private.singletons()))
    assert returned.status is JobStatus.COMPLETED
    process, *found = returned.return_value
    assert process != os.getpid()
    assert found == [1, 5, NAME, 4]
