"""How commands end: real processes that a signal reaches, and what their errors become."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import pytest
from lab import TINY, Lab

from resnet_lab.command import exit_status
from resnet_lab.config.checks import ConfigError
from resnet_lab.interrupts import Interrupted, RunFailed, causes
from resnet_lab.summary import main as summary

SIGNALS = pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
DEADLINE = 240  # seconds, on a machine that does much else


class Command(subprocess.Popen[str]):
    """`python -m resnet_lab…` in `folder`."""

    def __init__(self, module: str, *arguments: object, folder: Path) -> None:
        command = [sys.executable, "-m", module, *map(str, arguments)]
        pipe = subprocess.PIPE
        super().__init__(command, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def wait_for(self, words: str, stream: IO[str] | None) -> None:
        """Read what it says until a line has these words."""
        assert stream
        said = []
        for line in stream:
            said.append(line)
            if words in line:
                return
        pytest.fail("".join(said))

    def end(self, signum: int) -> tuple[int, str, str]:
        """Send the signal; the exit status, and what it still says in stdout and stderr."""
        self.send_signal(signum)
        stdout, stderr = self.communicate(timeout=DEADLINE)
        return self.returncode, stdout, stderr


@SIGNALS
def test_a_training(tmp_path: Path, signum: signal.Signals):
    command = Command("resnet_lab", *TINY, "trainer.max_epochs=100000", "diagnostics=off", folder=tmp_path)
    command.wait_for(": train 100000 epochs", command.stderr)
    status, stdout, stderr = command.end(signum)
    assert (status, stdout) == (128 + signum, "")
    assert re.fullmatch(r"interrupted(; the same command again continues after the last full epoch)?\n", stderr)


@SIGNALS
def test_a_benchmark(tmp_path: Path, signum: signal.Signals):
    """In mid-training, where a run would say how it goes on; of a measurement nothing is kept."""
    command = Command("resnet_lab.bench", *TINY, "--worker=3", folder=tmp_path)
    command.wait_for("ready", command.stdout)
    assert command.end(signum) == (128 + signum, "", "interrupted\n")


@SIGNALS
def test_inspecting(finished: Lab, tmp_path: Path, signum: signal.Signals):
    what = ("filters", "flow", "maps", "saliency", "inversion", "patterns", "mistakes")
    command = Command("resnet_lab.inspect", finished.directory().path, *what, "--out", tmp_path, folder=tmp_path)
    command.wait_for("filters  ", command.stderr)
    status, stdout, stderr = command.end(signum)
    assert status == 128 + signum
    assert stdout == f"written to {tmp_path}: inspect.html, figures/\n"
    *made, last = stderr.splitlines()
    assert last == f"interrupted after {1 + len(made)} of {len(what)} parts"
    assert "Traceback" not in stderr
    page = (tmp_path / "inspect.html").read_text()
    assert len(re.findall("<img ", page)) >= 2  # of the filters


@SIGNALS
def test_a_report(tmp_path: Path, signum: signal.Signals):
    """While it reads a file of a run, here a pipe."""
    (run := tmp_path / "runs" / "a").mkdir(parents=True)
    os.mkfifo(status_file := run / "status.json")
    command = Command("resnet_lab.report", "runs", folder=tmp_path)
    with status_file.open("w"):  # opens once the report reads it
        command.send_signal(signum)
    assert command.communicate(timeout=DEADLINE) == ("", "interrupted\n")
    assert command.returncode == 128 + signum
    assert not (tmp_path / "runs" / "report").exists()


def raising(error: BaseException) -> Callable[[Sequence[str]], int]:
    def main(arguments: Sequence[str]) -> int:
        raise error

    return main


@pytest.mark.parametrize("error", [ConfigError("seed must"), RunFailed("jobs:\n  one"), FileNotFoundError("no")])
def test_what_a_person_can_mend_is_a_message(error: Exception, capsys: pytest.CaptureFixture[str]):
    assert exit_status(raising(error), []) == 1
    assert capsys.readouterr() == ("", f"{error}\n")


def test_a_mistake_of_the_lab_itself_is_none():
    with pytest.raises(ZeroDivisionError):
        exit_status(raising(ZeroDivisionError()), [])


def test_a_signal_comes_before_the_error_in_its_place(capsys: pytest.CaptureFixture[str]):
    error = OSError("as of a library that was interrupted")
    error.__context__ = KeyError()
    error.__context__.__cause__ = Interrupted(signal.SIGTERM)
    with pytest.raises(Interrupted, match="SIGTERM"):
        exit_status(raising(error), [])
    assert capsys.readouterr().err == ""


def test_causes_of_an_error_each_once():
    outer, middle, inner, handled = RuntimeError(), ValueError(), KeyError(), OSError()
    outer.__cause__, outer.__context__, middle.__context__, inner.__context__ = middle, handled, inner, outer
    assert list(causes(outer)) == [outer, middle, handled, inner]


def test_a_summary_of_what_cannot_be(capsys: pytest.CaptureFixture[str]):
    assert exit_status(summary, ["units=nope"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("there is no units=nope; units can be: ")
    assert said.err.count("\n") == 1
    assert exit_status(summary, ["--help"]) == 0
