"""What a sweep knows before it begins, what its jobs share, and what it shows."""

import io
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from support.composing import config as load_config
from support.lab import TINY, Lab

from resnet_lab.callbacks.message import Progress
from resnet_lab.callbacks.reporter import Reporter
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.stored import to_dict
from resnet_lab.config.tasks import CLASSIFICATION
from resnet_lab.interrupts import RunFailed, exit_reason
from resnet_lab.job import objective
from resnet_lab.report.collect import collect
from resnet_lab.rundir.plans import write_plan
from resnet_lab.rundir.states import State
from resnet_lab.sweep import progress_table, slots
from resnet_lab.sweep.plan import JobState, Planned, examine, labels, without_repetitions
from resnet_lab.sweep.progress_table import ProgressTable
from resnet_lab.sweep.slots import Slot, share


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def composed(lab: Lab, *changes: str) -> DictConfig:
    return OmegaConf.structured(lab.config(*changes))


def state(lab: Lab, *changes: str) -> JobState:
    return examine(composed(lab, *changes), lab.overrides(*changes), "").state


def test_states(lab: Lab):
    assert state(lab) is JobState.to_do
    lab.run()
    assert state(lab) is JobState.done
    directory = lab.directory()
    directory.set_status(State.interrupted)
    assert state(lab) is JobState.to_continue
    directory.set_status(State.diverged, "loss is nan")
    assert state(lab) is JobState.diverged


def test_another_run_in_the_directory_is_impossible(lab: Lab):
    lab.run()
    lab.directory("optim.lr=0.05").path.parent.mkdir()
    lab.directory().path.rename(lab.directory("optim.lr=0.05").path)  # as after a change of the YAML files
    job = examine(composed(lab, "optim.lr=0.05"), lab.overrides(), "")
    assert job.state is JobState.impossible
    assert "optim.lr is 0.1 there, 0.05 now" in job.why


def test_repetitions_are_one_job(lab: Lab):
    def planned(*changes: str) -> Planned:
        return examine(composed(lab, *changes), lab.overrides(*changes), "")

    plan = [planned(), planned("seed=1"), planned(), planned("diagnostics=off")]
    assert [job.path for job in without_repetitions(plan)] == [plan[0].path, plan[1].path]


def test_a_report_knows_what_was_not_begun(lab: Lab):
    lab.run()
    wrong = composed(lab, "seed=1")
    wrong.optim.lr = -1.0
    plan = [
        examine(composed(lab), lab.overrides(), "seed=0"),
        examine(wrong, lab.overrides("seed=1"), "seed=1"),
        examine(composed(lab, "seed=2"), lab.overrides("seed=2"), "seed=2"),
    ]
    lab.directory("seed=2").path.mkdir()  # as left by a job that was killed before it recorded anything
    write_plan(plan)
    write_plan(plan)
    found = collect([lab.output_dir])
    assert [run.config.seed for run in found.done] == [0]
    first, second = found.not_begun
    assert "seed=1 not started (optim.lr must be" in first
    assert second.endswith("seed=2 not started")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1, "exited with status 1"),
        (200, "exited with status 200"),
        (255, "exited with status 255"),
        (143, "ended by SIGTERM"),
        (-9, "killed by SIGKILL; the system does this when memory runs out"),
        (-11, "killed by SIGSEGV"),
        (-40, "killed by signal 40"),
    ],
)
def test_how_a_process_ended(code: int, said: str):
    assert exit_reason(code) == said


def test_work_grows_with_network_and_epochs(lab: Lab):
    def work(*changes: str) -> int:
        return examine(composed(lab, *changes), lab.overrides(*changes), "").work

    assert work("trainer.max_epochs=4") == 2 * work()
    assert work("units=n3") > work()


def test_labels_tell_jobs_apart_and_stay_when_few_are_left():
    jobs = [["data=fake", f"units={units}", f"seed={seed}"] for units in ("n2", "n3") for seed in (0, 1)]
    all_labels = ["units=n2 seed=0", "units=n2 seed=1", "units=n3 seed=0", "units=n3 seed=1"]
    assert labels(jobs, fixed={"data"}) == all_labels
    assert labels(jobs[2:], fixed={"data"}) == ["units=n3 seed=0", "units=n3 seed=1"]
    assert labels(jobs[3:], fixed={"data"}) == ["units=n3 seed=1"]
    assert labels([["data=fake"]], fixed={"data"}) == ["default"]


@pytest.mark.parametrize(
    ("gpus", "jobs", "jobs_per_gpu", "expected"),
    [
        ([], None, 1, [(None, 1)] * 8),
        ([], 2, 1, [(None, 4)] * 2),
        ([], 16, 1, [(None, 1)] * 16),
        (["0", "1"], None, 1, [("0", 4), ("1", 4)]),
        (["0", "1"], None, 2, [("0", 2), ("1", 2), ("0", 2), ("1", 2)]),
        (["0", "1"], 3, 2, [("0", 2), ("1", 2), ("0", 2)]),
        (["GPU-8a56"], None, 1, [("GPU-8a56", 8)]),
    ],
)
def test_shares(
    monkeypatch: pytest.MonkeyPatch,
    gpus: list[str],
    jobs: int | None,
    jobs_per_gpu: int,
    expected: list[tuple[str | None, int]],
):
    monkeypatch.setattr(slots, "visible_gpus", lambda: gpus)
    monkeypatch.setattr(slots, "physical_cores", lambda: 8)
    assert share(jobs, jobs_per_gpu, use_gpus=True) == [Slot(*slot) for slot in expected]


@pytest.mark.parametrize(
    ("jobs", "jobs_per_gpu", "expected"),
    [(None, 1, ["0,1", "2,3"]), (1, 1, ["0,1"]), (None, 2, ["0,1", "2,3", "0,1", "2,3"])],
)
def test_groups_of_gpus(monkeypatch: pytest.MonkeyPatch, jobs: int | None, jobs_per_gpu: int, expected: list[str]):
    monkeypatch.setattr(slots, "visible_gpus", lambda: ["0", "1", "2", "3", "4"])  # the last one is left over
    assert [slot.gpu for slot in share(jobs, jobs_per_gpu, use_gpus=True, gpus_per_job=2)] == expected
    with pytest.raises(ConfigError, match=r"^hydra\.launcher\.gpus_per_job=6, but this sweep may use 5 GPUs$"):
        share(jobs, jobs_per_gpu, use_gpus=True, gpus_per_job=6)


def test_jobs_on_the_cpu_take_no_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(slots, "visible_gpus", lambda: ["0"])
    assert all(slot.gpu is None for slot in share(None, 1, use_gpus=False))


def test_gpus_are_those_that_the_process_was_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert slots.visible_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-8a56")
    assert slots.visible_gpus() == ["3", "GPU-8a56"]


def test_the_reporter_sends_every_epoch_once(lab: Lab):
    sent: list[Progress] = []
    result = lab.run(callbacks=[Reporter(sent.append)])
    assert [(progress.epoch, progress.max_epochs) for progress in sent] == [(0, 2), (1, 2), (2, 2)]
    assert [progress.val_score for progress in sent[1:]] == [record["val/error"] for record in result["history"]]
    assert sent[1].seconds_left == result["history"][0]["seconds"]
    assert sent[2].seconds_left == 0
    assert {progress.directory for progress in sent} == {str(lab.directory().path)}


def test_the_board(monkeypatch: pytest.MonkeyPatch):
    screen = io.StringIO()
    console = Console(file=screen, width=100, height=20, force_terminal=True, color_system=None)
    monkeypatch.setattr(progress_table, "console", console)
    with ProgressTable(["seed=0", "seed=1", "seed=2"]) as board:
        for number in (0, 1):
            board.started(number)
        board.progress(0, Progress("/runs/0", 3, 50, CLASSIFICATION, 12.5, 1234.4, 61.0))
        failed = JobReturn(status=JobStatus.FAILED)
        failed.return_value = RunFailed("killed by SIGKILL")
        board.ended(1, failed, None)
        board.refresh()
    shown = screen.getvalue()
    for words in (
        "seed=0",
        "training",
        "3/50",
        "12.50 %",
        "1,234",
        "0:01:01",
        "0 done, 1 failed, 1 running, 1 waiting",
    ):
        assert words in shown


def test_objectives(lab: Lab):
    result = lab.run()
    assert objective(result, []) == result["last"]["val_error"]
    assert objective(result, ["val_error", "macs"]) == (result["last"]["val_error"], result["macs"])


def test_objectives_are_checked():
    with pytest.raises(ConfigError, match=r"objective can be val_error, macs, .* got speed"):
        load_config(*TINY, "objective=[speed]")
    with pytest.raises(ConfigError, match=r"objective=\[val_error\] needs a validation part"):
        load_config(*TINY, "objective=[val_error]", "data.validation=0")
    assert "objective" in to_dict(load_config(*TINY))
