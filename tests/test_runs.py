"""`resnet-lab runs`: what is there, the command that makes it again, and the checkpoints that can go."""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from support.composing import config as load_config
from support.lab import Lab

from resnet_lab.command import exit_status
from resnet_lab.config.canonical import canonical
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.runs import look, main, size
from resnet_lab.text import visible

pytestmark = pytest.mark.slow

SHORT = ("trainer.max_epochs=2", "trainer.max_batches=2")


@pytest.fixture
def runs(lab: Lab, tmp_path: Path) -> Path:
    """Done at two places, interrupted where it is done elsewhere, interrupted and nowhere done, damaged."""
    lab.run(*SHORT)
    place = lab.directory(*SHORT).path
    outputs, folder = place.parents[2], place.parents[1]
    shutil.copytree(place, folder / "copy" / "seed-0")
    shutil.copytree(place, folder / "former" / "seed-0")
    lab.run(*SHORT, "seed=1")
    for directory in (RunDirectory(folder / "former" / "seed-0"), lab.directory(*SHORT, "seed=1")):
        directory.result_file.unlink()
        status = directory.status() | {"state": "interrupted", "epochs": 1}
        directory.status_file.write_text(json.dumps(status))
    damaged = folder / "damaged" / "seed-0"
    shutil.copytree(place, damaged)
    (damaged / "config.yaml").write_text("- ]")
    (damaged / "status.json").write_text("{")
    return outputs


def checkpoints(outputs: Path) -> set[str]:
    return {"/".join(file.parts[-4:-2]) for file in outputs.rglob("last.ckpt")}


def test_what_there_is(runs: Path, lab: Lab, capsys: pytest.CaptureFixture[str]):
    assert exit_status(main, [str(runs)]) == 0
    *rows, total = capsys.readouterr().out.splitlines()
    place = lab.directory(*SHORT).path.relative_to(runs)
    [done] = [row for row in rows if row.startswith(f"{place} ")]
    result = lab.directory(*SHORT).result()
    assert f"done              2  error {result['last']['test_error']:.2f} %" in done
    assert any("interrupted       1" in row for row in rows)
    assert any("damaged" in row for row in rows)
    assert total.startswith(f"5 runs in {runs}, ")


def test_one_run_says_how_to_make_it_again(runs: Path, lab: Lab, capsys: pytest.CaptureFixture[str]):
    path = lab.directory(*SHORT).path
    assert exit_status(main, [str(path)]) == 0
    said = capsys.readouterr().out.splitlines()[-1].removeprefix("to repeat: resnet-lab ")
    again, config = load_config(*shlex.split(said)), lab.config(*SHORT)
    assert canonical(again) == canonical(config)
    assert (again.name, again.output_dir) == (config.name, config.output_dir)
    assert exit_status(main, [str(runs), "--commands"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines.count(f"resnet-lab {said}") == 3
    assert [line.split(":")[0] for line in lines if line.startswith("#")] == [f"# {runs}/fake/damaged/seed-0"]


def test_a_command_can_be_pasted_whatever_the_names_are(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lab.run(*SHORT)
    moved = tmp_path / "a\x1b[31m\nrm 'x'"
    shutil.move(lab.output_dir, moved)
    shutil.copytree(moved / "fake", moved / "damaged\nrm x")
    for file in (moved / "damaged\nrm x").rglob("config.yaml"):
        file.write_text("- ]")
    assert exit_status(main, [str(moved)]) == 0
    assert exit_status(main, [str(moved), "--commands"]) == 0
    *_, why, command = (said := capsys.readouterr().out).splitlines()
    assert visible(said, keep="\n") == said
    assert why.startswith("# ")
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True).stdout.split(
        "\0"
    )
    assert load_config(*words[1:-1]).output_dir == str(moved)


def test_a_size_counts_a_file_with_two_names_once(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"1234")
    os.link(tmp_path / "a", tmp_path / "b")
    assert size([tmp_path / "a", tmp_path / "b", tmp_path / "none"]) == 4


def test_pruning_keeps_what_can_be_continued_and_one_of_what_is_done(runs: Path, lab: Lab):
    before = checkpoints(runs)
    assert len(before) == 5
    assert exit_status(main, [str(runs), "--prune", "--yes"]) == 0
    kept = checkpoints(runs)
    assert {"damaged/seed-0", f"{lab.directory(*SHORT).path.parent.name}/seed-1"} < kept
    assert "former/seed-0" not in kept
    assert len(kept) == 3
    assert exit_status(main, [str(runs), "--prune", "done", "--yes"]) == 0
    assert len(checkpoints(runs)) == 2
    assert lab.run(*SHORT)["epochs"] == 2  # the results stay


def test_all_that_is_done_goes_with_the_reason_done(runs: Path):
    assert exit_status(main, [str(runs), "--prune", "done", "--yes"]) == 0
    assert {path.split("/")[0] for path in checkpoints(runs)} == {"damaged", "former", next(iter(place(runs)))}


def place(runs: Path) -> set[str]:
    """The directory of the run that is interrupted and done nowhere."""
    return {path.parents[1].name for path in runs.rglob("seed-1/status.json")}


def test_a_run_is_kept_only_if_it_can_be_loaded(runs: Path, lab: Lab):
    """The latest one lacks last.ckpt: the others keep theirs."""
    newest = lab.directory(*SHORT)
    newest.last.unlink()
    other = RunDirectory(runs / "fake" / "copy" / "seed-0")
    status = other.status() | {"time": "2020-01-01T00:00:00+00:00"}
    other.status_file.write_text(json.dumps(status))
    assert exit_status(main, [str(runs), "--prune", "repeated", "--yes"]) == 0
    assert other.last.exists()
    assert not newest.best.exists()


def test_checkpoints_that_two_runs_share_are_left_alone(runs: Path, lab: Lab):
    copy = runs / "fake" / "copy" / "seed-0" / "checkpoints"
    shutil.rmtree(copy)
    copy.symlink_to(lab.directory(*SHORT).checkpoints)
    assert exit_status(main, [str(runs), "--prune", "repeated", "--yes"]) == 0
    assert lab.directory(*SHORT).last.exists()


def test_nothing_is_removed_unasked(runs: Path, capsys: pytest.CaptureFixture[str]):
    before = checkpoints(runs)
    assert exit_status(main, [str(runs), "--prune"]) == 1
    said = capsys.readouterr()
    assert said.err == "--prune asks before removing anything, but there is no terminal: add --yes\n"
    assert "superseded" in said.out
    assert checkpoints(runs) == before


def test_a_run_that_another_process_works_on_is_left_alone(runs: Path, capsys: pytest.CaptureFixture[str]):
    directory = RunDirectory(runs / "fake" / "former" / "seed-0")
    with directory.locked():
        assert exit_status(main, [str(runs), "--prune", "superseded", "--yes"]) == 0
    assert "skipped: " in capsys.readouterr().out
    assert directory.last.exists()


def test_an_epoch_is_counted_when_its_checkpoint_is_there(lab: Lab):
    lab.run(*SHORT)
    assert lab.directory(*SHORT).status()["epochs"] == 2
    assert look(lab.directory(*SHORT).path).epochs == 2


def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    assert exit_status(main, ["nowhere"]) == 1
    assert capsys.readouterr().err == "nowhere is not a folder\n"
    assert exit_status(main, []) == 1
    assert capsys.readouterr().err == "no run directories under outputs\n"
