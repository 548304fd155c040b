"""The service is asked to start and to end, and its absence is survived."""

import logging
from pathlib import Path

import pytest

from resnet_lab.sweep import mps
from resnet_lab.sweep.mps import CONTROL, service, service_for
from resnet_lab.sweep.slots import Slot


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a stand-in for NVIDIA's program was asked, where, a line each."""
    program, calls = tmp_path / CONTROL, tmp_path / "calls"
    program.write_text(f'#!/bin/sh\necho "$1 $(cat) $CUDA_MPS_PIPE_DIRECTORY" >> {calls}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return calls


def test_begins_and_ends(calls: Path, tmp_path: Path):
    with service(tmp_path) as environment:
        pipes = environment["CUDA_MPS_PIPE_DIRECTORY"]
        assert calls.read_text().split() == ["-d", pipes]
    assert calls.read_text().splitlines()[1].split() == ["quit", pipes]


def test_ends_after_an_interruption(calls: Path, tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), service(tmp_path):
        raise KeyboardInterrupt
    assert "quit" in calls.read_text()


@pytest.mark.parametrize(
    ("gpus", "starts"),
    [(["0"], False), (["0", "1"], False), ([None, None], False), (["0", "0"], True), (["0", "1", "0"], True)],
)
def test_it_starts_only_if_two_jobs_share_a_gpu(
    calls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    gpus: list[str | None],
    starts: bool,
):
    monkeypatch.setattr(logging.getLogger("resnet_lab"), "propagate", True)
    with caplog.at_level("INFO"), service_for([Slot(gpu, 1) for gpu in gpus], tmp_path) as environment:
        assert bool(environment) == calls.exists() == starts
    assert ("no two jobs share a GPU" in caplog.text) == (not starts)


SILENT, FAILS = "exec tail -f /dev/null", "exit 1"


@pytest.mark.parametrize("at_quit", [SILENT, FAILS])
def test_an_end_that_fails_is_a_warning(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, at_quit: str
):
    program = tmp_path / CONTROL
    program.write_text(f'#!/bin/sh\n[ "$1" = -d ] || {at_quit}\n')
    monkeypatch.setattr(logging.getLogger("resnet_lab"), "propagate", True)
    with service(tmp_path) as environment:
        assert environment
        monkeypatch.setattr(mps, "ANSWER_SECONDS", 0.1)
    [record] = {id(record): record for record in caplog.records}.values()  # one, however many handlers have seen it
    assert record.levelname == "WARNING"
    assert f"{CONTROL} did not stop" in record.getMessage()


def test_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(logging.getLogger("resnet_lab"), "propagate", True)
    with service(tmp_path) as environment:
        assert environment == {}
    assert f"{CONTROL} could not be started" in caplog.text
