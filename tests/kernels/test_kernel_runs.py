"""Runs with own kernels: what they record, and how they continue."""

from pathlib import Path

import pytest
import torch
from support.lab import FailsAt, Lab, same_weights

from resnet_lab.bench.measure import native_share
from resnet_lab.config.checks import ConfigError
from resnet_lab.interrupts import RunFailed
from resnet_lab.kernels import build

NATIVE, TORCH = "trainer.kernels=native", "trainer.kernels=torch"


def interrupted(lab: Lab, *changes: str) -> None:
    with pytest.raises(RunFailed, match="out of luck"):
        lab.run(*changes, callbacks=[FailsAt(1)])


def test_results_say_which_kernels_computed(lab: Lab):
    found = [lab.run(change, f"name={change[-3:]}")["kernels"] for change in (NATIVE, TORCH)]
    assert found == ["native", "torch"]


def test_kernels_are_no_part_of_what_a_run_is(lab: Lab):
    assert lab.directory(NATIVE).last == lab.directory(TORCH).last


def test_an_interrupted_run_equals_one_that_was_not(tmp_path: Path):
    straight, stopped = Lab(tmp_path / "straight"), Lab(tmp_path / "stopped")
    straight.run(NATIVE)
    interrupted(stopped, NATIVE)
    stopped.run(NATIVE)
    assert same_weights(straight.checkpoint(), stopped.checkpoint())


def test_a_deterministic_run_keeps_the_kernels_that_it_began_with(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """By itself, such a small network would be left to torch."""
    straight, stopped = Lab(tmp_path / "straight"), Lab(tmp_path / "stopped")
    straight.run(NATIVE)
    interrupted(stopped, NATIVE)
    assert stopped.run()["kernels"] == "native"
    assert same_weights(straight.checkpoint(), stopped.checkpoint())
    assert "note: deterministic=true: the run goes on with native kernels, as it began" in caplog.messages
    assert "which round otherwise" not in caplog.text


def test_runs_of_earlier_versions_had_the_kernels_of_torch(lab: Lab, caplog: pytest.LogCaptureFixture):
    interrupted(lab, TORCH)
    checkpoint = lab.checkpoint()
    del checkpoint["resnet_lab"]["kernels"]
    torch.save(checkpoint, lab.directory().last)
    assert lab.run(NATIVE)["kernels"] == "torch"
    assert "note: deterministic=true: the run goes on with torch kernels, as it began" in caplog.messages


def test_a_deterministic_run_does_not_continue_without_its_kernels(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    interrupted(lab, NATIVE)
    before = lab.directory().last.read_bytes()

    def nothing() -> dict[str, object]:
        raise build.Unavailable("there is no C compiler")

    monkeypatch.setattr("resnet_lab.kernels.choice.libraries", nothing)
    with pytest.raises(
        ConfigError, match=r"^deterministic=true: the run began with native kernels, but .*no C compiler$"
    ):
        lab.run()
    assert lab.directory().last.read_bytes() == before


def test_any_other_run_says_that_it_continues_with_others(lab: Lab, caplog: pytest.LogCaptureFixture):
    interrupted(lab, NATIVE, "deterministic=false")
    assert lab.run("deterministic=false")["kernels"] == "torch"
    said = "note: so far the run used native kernels; it continues with torch ones, which round otherwise"
    assert said in caplog.messages


def test_the_share_of_the_kernels_in_a_step(lab: Lab):
    assert 0 < native_share(lab.config(NATIVE)) < 1
    assert native_share(lab.config(TORCH)) == 0
