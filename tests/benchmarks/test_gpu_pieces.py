"""The pieces that need a GPU, without one: what is written and repeated, verdicts, and how seeds share a process."""

import copy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import decide, tables
from benchmarks.checks import TINY
from benchmarks.gpu import Content, fast, packing, promise, right, streams
from benchmarks.gpu import __main__ as gpu
from resnet_lab.interrupts import RunFailed

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FOREVER = float("inf")


def checked(passed: bool) -> Content:
    return {"checks": [decide.verdict("x", float(passed), 1)]}


def test_gpu_parts_are_written_one_by_one_and_a_broken_one_stops_no_other(tmp_path: Path):
    def broken(earlier: Content) -> Iterator[Content]:
        yield {"half": 1}
        raise RuntimeError("no such kernel")

    parts = {"a/x": broken, "a/y": lambda _: iter([checked(True)]), "b/z": lambda _: iter([checked(False)])}
    assert gpu.perform(parts, tmp_path, FOREVER) == 1
    written = gpu.written([*parts, "b/never"], tmp_path)
    assert "RuntimeError: no such kernel" in written["a/x"]["error"]
    assert {name: gpu.state(content) for name, content in written.items()} == {
        "a/x": "FAILED",
        "a/y": "passed",
        "b/z": "FAILED",
        "b/never": "not started",
    }
    assert gpu.perform({"a/y": broken}, tmp_path, FOREVER) == 0  # done: it is not repeated
    continued: list[Content] = []
    assert (
        gpu.perform({"a/x": lambda earlier: continued.append(earlier) or iter([checked(True)])}, tmp_path, FOREVER) == 0
    )
    assert continued[0]["half"] == 1  # an error is repeated, but not what was measured before it
    assert "error" not in gpu.written(["a/x"], tmp_path)["a/x"]


class Clock:
    """A clock that only steps of a part advance, by 10 seconds each."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def part(self, earlier: Content) -> Iterator[Content]:
        for number in range(earlier.get("number", 0) + 1, 4):
            self.now += 10
            yield {"number": number}
        yield {"number": 3} | checked(True)


def test_a_gpu_part_stops_before_a_step_that_would_not_fit_and_continues_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clock, file = Clock(), tmp_path / "a-x.json"
    monkeypatch.setattr(gpu, "time", clock)
    assert gpu.finished(clock.part, file, end=25)["number"] == 2
    assert clock.now == 20
    assert gpu.finished(clock.part, file, end=29)["number"] == 2  # a new start knows how long a step takes
    assert gpu.state(gpu.written(["a/x"], tmp_path)["a/x"]) == "not finished"
    parts = {"a/x": clock.part, "b/y": clock.part}
    assert gpu.perform(parts, tmp_path, end=40) == 1
    assert [gpu.state(content) for content in gpu.written(parts, tmp_path).values()] == ["passed", "not finished"]
    parts["c/z"] = clock.part  # which has not run: its steps may take as long as those of another
    assert gpu.perform(parts, tmp_path, end=45) == 1
    assert (clock.now, gpu.written(parts, tmp_path)["c/z"]) == (40, {})
    assert gpu.perform(parts, tmp_path, FOREVER) == 0
    assert clock.now == 90


def test_the_sweep_that_is_done_is_not_repeated(monkeypatch: pytest.MonkeyPatch):
    """The sweeps are given here; which of them run, and the verdicts, are the program's."""
    commands: list[list[str]] = []

    def given(command: list[str], **how: Any) -> None:
        commands.append(command)
        [folder] = [word.partition("=")[2] for word in command if word.startswith("output_dir=")]
        for seed in range(promise.SEEDS):
            Path(folder, str(seed)).mkdir()
            Path(folder, str(seed), "result.json").touch()

    monkeypatch.setattr(promise.subprocess, "run", given)
    monkeypatch.setattr(promise, "interrupted", lambda *how: 130)
    monkeypatch.setattr(promise, "on_gpu", lambda: {"1"})
    first = next(promise.seeds({}))
    assert "checks" not in first
    last = [*promise.seeds(copy.deepcopy(first))][-1]
    assert [command[-1] for command in commands] == ["hydra.launcher.mps=false", "hydra.launcher.mps=true"]
    assert last["interrupted"] == {"status": 130, "left": 0}
    assert [check["passed"] for check in last["checks"]] == [True] * 5


def test_gpu_verdicts():
    [check] = fast.epoch_checks("cifar10_basic_56", {"lab": {"median": 100_000.0}})
    assert (check["value"], check["passed"]) == (0.5, True)
    assert not fast.epoch_checks("cifar10_164", {"lab": {"median": 20_000.0}})[0]["passed"]
    assert fast.epoch_checks("cifar10_20", {"lab": {"median": 1.0}}) == []
    one, two = {"jobs": 1, "images_per_second": 100.0}, {"jobs": 2, "images_per_second": 130.0}
    assert fast.jobs_check("x", [one, two])["passed"]
    assert not fast.jobs_check("x", [one, {**two, "images_per_second": 100.0}])["passed"]


def test_a_checkpoint_differs_where_a_tensor_does():
    one = {"weights": {"a": torch.ones(2), "b": torch.zeros(1)}, "groups": [{"lr": torch.ones(())}], "epoch": 1}
    assert right.differences(one, copy.deepcopy(one)) == []
    other = copy.deepcopy(one)
    other["weights"]["b"] += 1e-7
    other["groups"][0]["lr"] = 1.0
    assert right.differences(one, other) == [".groups.0.lr", ".weights.b"]
    del other["weights"]["a"]
    assert ".weights.a" in right.differences(one, other)


def test_seeds_in_one_process_are_those_alone():
    words = [*TINY, "trainer=cpu", "deterministic=true"]
    shared = streams.trained([0, 1], 3, words)
    alone = [streams.trained([seed], 3, words) for seed in (0, 1)]
    assert shared["images"] == sum(each["images"] for each in alone) == 2 * 3 * 16
    assert shared["losses"] == [*alone[0]["losses"], *alone[1]["losses"]]
    assert shared["losses"][0] != shared["losses"][1]


@pytest.mark.long
def test_seeds_are_measured_in_processes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    assert packing.throughput(packing.STREAMS, 2, 2, [*TINY, "trainer=cpu"]) > 0


def test_the_way_of_packing_is_chosen_by_measurement(monkeypatch: pytest.MonkeyPatch):
    """The numbers are given here; order, rounds, failures and the choice are the program's."""
    asked: list[tuple[str, int]] = []
    speeds = {packing.PROCESSES: {1: 100.0, 2: 130.0, 4: 90.0}, packing.STREAMS: {2: 150.0, 4: 95.0}}

    def given(way: str, count: int, *how: Any) -> float:
        asked.append((way, count))
        if way == packing.WITH_MPS:
            raise RunFailed("--mps: it could not be started")
        return speeds[way][count]

    monkeypatch.setattr(packing, "throughput", given)
    monkeypatch.setattr(packing, "different", lambda overrides: 0)
    steps = packing.packed([], 2, {}, seeds=(2, 4))
    first = copy.deepcopy([next(steps) for _ in range(4)])[-1]
    assert asked == [(packing.PROCESSES, 1), (packing.PROCESSES, 2), (packing.WITH_MPS, 2)]
    last = [*packing.packed([], 2, first, seeds=(2, 4))][-1]  # continued
    assert len(asked) == 3 + 4 + 5  # what failed in the first round is left out of the second
    assert set(last["failed"]) == {"2 seeds, processes with MPS", "4 seeds, processes with MPS"}
    assert last["fastest"] == {"2": packing.STREAMS, "4": packing.ALONE}
    assert last["gains"]["2 seeds, streams in one process"]["median"] == pytest.approx(1.5)
    assert [check["passed"] for check in last["checks"]] == [True, True, False]
    [table] = tables.packing_table(last)
    assert "| streams in one process | 150 (1.50 ×) | 95 (0.95 ×) |" in table
    assert "| processes with MPS | failed | failed |" in table


def test_a_word_of_only_that_names_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(sys, "argv", ["benchmarks.gpu", "--only", "right", "rigth"])
    assert gpu.main() == 2
    assert "there is no rigth; use some of right/graphs, right/resume" in capsys.readouterr().err
