"""How commands end: real processes that a signal reaches, and what their errors become."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import IO

import pytest
from support.lab import TINY, Lab

from resnet_lab.command import VERBS, exit_status, main_of
from resnet_lab.config.checks import ConfigError
from resnet_lab.interrupts import Interrupted, RunFailed, causes
from resnet_lab.summary import main as summary

pytestmark = pytest.mark.slow

SIGNALS = pytest.mark.parametrize("signum", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
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
    long = ("trainer.max_epochs=100000", "trainer.log=off", "diagnostics=off")
    command = Command("resnet_lab", *TINY, *long, folder=tmp_path)
    command.wait_for(": train 100,000 epochs", command.stderr)
    status, stdout, stderr = command.end(signum)
    assert (status, stdout) == (128 + signum, "")
    assert re.fullmatch(r"interrupted(; run the same command again to continue after the last full epoch)?\n", stderr)


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
def test_a_report(finished: Lab, tmp_path: Path, signum: signal.Signals):
    """While it writes its first file, here a pipe."""
    os.mkfifo(page := tmp_path / "report.md")
    command = Command("resnet_lab.report", finished.output_dir, "--out", tmp_path, folder=tmp_path)
    with page.open("rb"):  # opens once the report writes to it
        assert command.end(signum) == (128 + signum, "", "interrupted\n")
    assert not (tmp_path / "report.json").exists()


def raising(error: BaseException) -> Callable[[Sequence[str]], int]:
    def main(arguments: Sequence[str]) -> int:
        raise error

    return main


@pytest.mark.parametrize("error", [ConfigError("seed must"), RunFailed("jobs:\n  one"), FileNotFoundError("no")])
def test_what_a_person_can_mend_is_a_message(error: Exception, capsys: pytest.CaptureFixture[str]):
    assert exit_status(raising(error), []) == 1
    assert capsys.readouterr() == ("", f"{error}\n")


def test_an_unexpected_error_is_one_line_and_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert exit_status(raising(ZeroDivisionError("by\nzero")), []) == 1
    [file] = tmp_path.iterdir()
    expected = (
        f"unexpected error: ZeroDivisionError: by zero; this is a bug of resnet_lab, please report it with {file}"
    )
    assert capsys.readouterr() == ("", f"{expected}\n")
    assert "Traceback" in file.read_text()


def test_an_unexpected_error_without_a_place_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert exit_status(raising(ZeroDivisionError("by zero")), []) == 1
    assert capsys.readouterr().err.startswith("unexpected error: ZeroDivisionError: by zero\nTraceback")


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


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_the_same_help_and_the_same_exit_statuses(verb: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main_of(verb)(["--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: resnet-lab {verb} ")
    with pytest.raises(SystemExit) as ended:
        main_of(verb)(["--nonsense"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"usage: resnet-lab {verb} ")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("entry", [["resnet_lab"], ["resnet_lab."]], ids=["resnet-lab", "python -m"])
def test_a_mistyped_option_is_answered_before_anything_heavy_is_imported(verb: str, entry: list[str]):
    module, words = ("resnet_lab", [verb]) if entry == ["resnet_lab"] else (f"resnet_lab.{verb}", [])
    required = ["--to=onnx"] if verb == "export" else []
    ended = said(module, *words, *required, "--nonsense", "x")
    assert ended.returncode == 2
    assert "error: unrecognized arguments: --nonsense" in ended.stderr
    assert ended.stdout.endswith("imported:\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seeed=1"], "there is no setting seeed"),
        (["-m", "seeed=1,2"], "there is no setting seeed"),
        (["-m", "unit=basic,basicc"], "there is no unit=basicc"),
        (["-m", "seed=1,2", "hydra.launcher.jobs=0"], "hydra.launcher.jobs must be a whole number above 0"),
    ],
)
def test_so_is_a_mistyped_override_also_in_a_sweep(words: list[str], message: str):
    ended = said("resnet_lab", *words)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith(message)
    assert ended.stdout.endswith("imported:\n")


@pytest.mark.parametrize("verb", ["predict", "evaluate", "export", "inspect"])
def test_the_best_checkpoint_is_the_best_by_any_number(verb: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main_of(verb)(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "best: epoch with the lowest trainer.best_by, by default the validation score;" in shown
    assert "best_ema: average of the weights after the best epoch" in shown


def test_the_version_is_the_lab_s_own():
    ended = said("resnet_lab", "--version")
    assert ended.stdout == f"resnet-lab {version('resnet-lab')}\nimported:\n"


def test_help_lists_every_verb():
    listed = said("resnet_lab", "--help").stdout
    assert all(f"\nresnet-lab {verb} " in listed for verb in VERBS)


def said(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, which says at its end whether torch was imported."""
    code = (
        "import atexit, runpy, sys; atexit.register(lambda: print('imported:', *{'torch'} & sys.modules.keys()))\n"
        f"sys.argv[:] = ['x', *{list(words)}]; runpy.run_module({module!r}, run_name='__main__')"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
