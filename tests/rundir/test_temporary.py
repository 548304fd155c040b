"""Temporary folders: removed at the end, and after a process that was killed by the next one."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from resnet_lab.rundir import files
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.files import temporary_folder
from resnet_lab.rundir.states import State

KILLED = (
    "import os, signal; from resnet_lab.rundir.files import temporary_folder\n"
    "with temporary_folder('lab_') as folder:\n"
    "    (folder / 'x').touch(); os.kill(os.getpid(), signal.SIGKILL)"
)


@pytest.fixture
def below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(files, "NEW_SECONDS", -1.0)
    return tmp_path


def test_it_is_removed_and_so_is_what_a_killed_process_left(below: Path):
    subprocess.run([sys.executable, "-c", KILLED], env={**os.environ, "TMPDIR": str(below)})
    [left] = below.iterdir()
    assert (left / "x").exists()
    (below / "other").mkdir()
    with temporary_folder("lab_") as folder:
        assert {*below.iterdir()} == {folder, below / "other"}
    assert [*below.iterdir()] == [below / "other"]


def test_a_folder_in_use_stays(below: Path):
    with temporary_folder("lab_") as one:
        with temporary_folder("lab_") as other:
            assert {*below.iterdir()} == {one, other}
        assert [*below.iterdir()] == [one]


def test_a_new_folder_stays_though_nobody_has_locked_it_yet(below: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "NEW_SECONDS", 60.0)
    (below / "lab_new").mkdir()
    with temporary_folder("lab_"):
        pass
    assert [*below.iterdir()] == [below / "lab_new"]


def test_a_status_that_cannot_be_replaced_is_written_in_place(tmp_path: Path):
    """As on a full disk, where the old file's space is all that there is."""
    directory = RunDirectory(tmp_path)
    directory.set_status(State.running, epochs=3)
    (tmp_path / f".status.json.{os.getpid()}.tmp").mkdir()  # in the way of the temporary file
    directory.set_status(State.failed, "no space")
    status = directory.status()
    assert (status["state"], status["why"], status["epochs"]) == ("failed", "no space", 3)
