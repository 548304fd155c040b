"""The wall time of a run: every moment counts once, for the part that it was spent on, also in a run that continues."""

import math
from contextlib import suppress
from typing import Any

import pytest
from support.lab import FailsAt, Lab

from resnet_lab.callbacks.progress import ProgressBar
from resnet_lab.interrupts import RunFailed
from resnet_lab.text import shares
from resnet_lab.training.clock import PARTS, Clock
from resnet_lab.training.run import Result


class Ticks:
    """Time that passes only when told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("time.perf_counter", lambda: self.now)


def test_each_moment_counts_for_one_part(monkeypatch: pytest.MonkeyPatch):
    ticks = Ticks(monkeypatch)
    clock = Clock()
    ticks.now += 1
    with clock.during("steps"):
        ticks.now += 2
        with suppress(ValueError), clock.during("diagnostics"):
            ticks.now += 4
            raise ValueError
        ticks.now += 8
        clock.switch("validation")
        ticks.now += 16
    ticks.now += 32
    spent = {part: s for part, s in clock.read().items() if s}
    assert spent == {"start_up": 33, "steps": 10, "diagnostics": 4, "validation": 16}
    assert shares(clock.read()) == "start-up 52 %, validation 25 %, steps 16 %, diagnostics 6 %"


def seconds_of_steps(result: Result) -> float:
    """The time of the steps, from the speed of each epoch of 48 images."""
    return math.fsum(48 / record["images_per_second"] for record in result["history"])


def test_the_parts_add_up_and_steps_are_those_of_the_speed(lab: Lab):
    result = lab.run(callbacks=[ProgressBar()])
    wall: dict[str, Any] = result["wall"]
    assert wall.keys() == PARTS.keys()
    assert result["wall_seconds"] == pytest.approx(sum(wall.values()))
    assert wall["steps"] == pytest.approx(seconds_of_steps(result), rel=0.1)
    assert all((seconds > 0) == (part != "compile") for part, seconds in wall.items())


def test_a_run_that_continues_adds_to_what_it_had_spent(lab: Lab):
    with pytest.raises(RunFailed):
        lab.run(callbacks=[FailsAt(1)])
    before = lab.checkpoint()["wall"]
    result = lab.run()
    assert result["wall"]["steps"] == pytest.approx(seconds_of_steps(result), rel=0.1)
    assert all(result["wall"][part] >= seconds for part, seconds in before.items())
    assert result["wall"]["start_up"] > before["start_up"] > 0
