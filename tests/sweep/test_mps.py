"""The service is asked to start and to end, and its absence is survived."""

import logging
import sys
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
    client(monkeypatch, "import os; os.environ['CUDA_MPS_PIPE_DIRECTORY']")
    return calls


def client(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """The program that stands for the first one to use a GPU through the service."""
    monkeypatch.setattr(mps, "CLIENT", (sys.executable, "-c", program))


def said(caplog: pytest.LogCaptureFixture) -> str:
    """The only message, a warning, however many handlers have seen it."""
    [record] = {id(record): record for record in caplog.records}.values()
    assert record.levelname == "WARNING"
    return record.getMessage()


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
    assert f"{CONTROL} did not stop" in said(caplog)


CANNOT = "raise RuntimeError('CUDA error: MPS client failed to connect to the MPS control daemon\\nFor debugging …')"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (CANNOT, "(RuntimeError: CUDA error: MPS client failed to connect to the MPS control daemon)"),
        ("import os; os._exit(3)", "exit status 3"),
        ("import select; select.select([], [], [])", "timed out"),
    ],
)
def test_clients_that_cannot_connect_are_said_once(
    calls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    program: str,
    reason: str,
):
    client(monkeypatch, program)
    monkeypatch.setattr(mps, "CLIENT_SECONDS", 0.1 if reason == "timed out" else 60.0)
    monkeypatch.setattr(logging.getLogger("resnet_lab"), "propagate", True)
    with service(tmp_path) as environment:
        assert environment == {}
    assert reason in said(caplog)
    assert "quit" in calls.read_text()


def test_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(logging.getLogger("resnet_lab"), "propagate", True)
    with service(tmp_path) as environment:
        assert environment == {}
    assert f"{CONTROL} could not be started" in caplog.text
