"""`predict` gives the network's own probabilities, writes them as asked, and survives what cannot be read."""

import csv
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from least import Shell, by_hand
from PIL import Image
from support.pictures import GREY, noise, save

from resnet_lab.command import exit_status, main_of
from resnet_lab.config.registry import TASKS
from resnet_lab.config.tasks import CLASSIFICATION
from resnet_lab.use.outputs import folder_names

OTHER = replace(CLASSIFICATION, labels=None)  # as of a task of a plugin


def test_every_kind_of_image_gets_the_probabilities_of_the_network(shell: Shell, pets: Path, pets_run: Path):
    status, out, err = shell("predict", pets_run, pets / "test", "--json", "--top=9", "--batch-size=3")
    assert (status, err) == (0, "")
    made = json.loads(out)
    assert [Path(entry["file"]) for entry in made] == sorted((pets / "test").rglob("*.*"))
    for entry in made:
        ranking = {one["class"]: one["probability"] for one in (entry, *entry["runners_up"])}
        assert ranking == pytest.approx(by_hand(pets_run, Path(entry["file"])), abs=1e-6)
        assert entry["probability"] == max(ranking.values())
    assert len({entry["probability"] for entry in made}) == len(made)  # they are different images


def test_csv_and_table_show_the_same(shell: Shell, pets: Path, pets_run: Path, tmp_path: Path):
    files = sorted((pets / "test" / "dog").iterdir())
    assert shell("predict", pets_run, *files, "--top=2", "--csv", tmp_path / "made.csv") == (0, "", "")
    rows = [*csv.DictReader(io.StringIO((tmp_path / "made.csv").read_text()))]
    assert [row["file"] for row in rows] == [str(file) for file in files]
    status, out, _ = shell("predict", pets_run, *files, "--top=2")
    assert status == 0
    for row, line in zip(rows, out.splitlines()[1:], strict=True):
        first, second = (f"{100 * float(row[name]):.1f} %" for name in ("probability", "probability_2"))
        assert line.split("  ")[0] == row["file"]
        assert line.rstrip().endswith(f"{first}  {row['class_2']} {second}")
    assert shell("predict", pets_run, files[0], "--csv")[1].splitlines()[0] == "file,class,probability"


@pytest.mark.parametrize(
    ("option", "place"),
    [("--csv", "file/x.csv"), ("--json", "file/x.json"), ("--sort-into", "file"), ("--csv", "folder.csv")],
)
def test_a_place_that_cannot_be_written_is_named_before_any_work(
    shell: Shell, pets_run: Path, tmp_path: Path, option: str, place: str
):
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    status, out, err = shell("predict", pets_run, "nowhere.png", option, tmp_path / place)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"{option}")


def test_folders_of_files_to_write_are_made(shell: Shell, pets: Path, pets_run: Path, tmp_path: Path):
    assert shell("predict", pets_run, pets / "test", "--csv", tmp_path / "a" / "x.csv")[0] == 0
    assert shell("evaluate", pets_run, "--json", tmp_path / "b" / "x.json", "--page", tmp_path / "c" / "x.html")[0] == 0
    assert {path.name for path in tmp_path.rglob("x.*")} == {"x.csv", "x.json", "x.html"}


def test_images_are_sorted_into_folders_and_nothing_is_overwritten(
    shell: Shell, pets: Path, pets_run: Path, tmp_path: Path
):
    folder = noise(tmp_path, {"in/a": 2, "in/b": 1}) / "in"  # 0.png twice
    out = tmp_path / "out"
    assert shell("predict", pets_run, folder, "--sort-into", out) == (0, "", "")
    links = [*out.rglob("*.png")]
    assert {link.readlink() for link in links} == {file.resolve() for file in folder.rglob("*.png")}
    predicted = {row[0]: row[1] for row in csv.reader(shell("predict", pets_run, folder, "--csv")[1].splitlines()[1:])}
    assert {str(link.readlink()): link.parent.name for link in links} == predicted
    before = {link: link.readlink() for link in links}
    assert shell("predict", pets_run, folder / "b" / "0.png", "--sort-into", out, "--copy")[0] == 0
    [copied] = {*out.rglob("*.png")} - {*links}
    assert (
        copied.name == f"0-{1 + sum(link.name.startswith('0') and link.parent == copied.parent for link in links)}.png"
    )
    assert copied.read_bytes() == (folder / "b" / "0.png").read_bytes()
    assert {link: link.readlink() for link in links} == before
    status, _, err = shell("predict", pets_run, folder, "--sort-into", folder / "sorted")
    assert (status, err.count("\n")) == (1, 1)
    assert f"--sort-into {folder / 'sorted'}: it is inside {folder}" in err


def test_folders_of_classes_stay_inside_and_apart():
    names = folder_names(["cat", "../..", "a/b", "a_b", "", ".x", "é\x1b", "c" * 300])
    assert names == ["cat", "1__..", "a_b", "3_a_b", "4_", "5_x", r"é_x1b", "c" * 60]


def test_what_cannot_be_read_is_a_line_and_the_rest_goes_on(shell: Shell, pets_run: Path, tmp_path: Path):
    good = save(tmp_path / "in" / "good.png", GREY)
    (tmp_path / "in" / "damaged.png").write_bytes(good.read_bytes()[:40])
    (tmp_path / "in" / "notes.txt").write_text("no image")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    inputs = [tmp_path / name for name in ("in", "in/notes.txt", "missing.png", "empty", "pipe.png")]
    status, out, err = shell("predict", pets_run, *inputs, "--csv")
    assert status == 1
    assert [line.split(",")[0] for line in out.splitlines()] == ["file", str(good)]
    left_out, *failed = err.splitlines()
    assert left_out == f"{tmp_path / 'in'}: 1 of 3 files left out: 1 .txt (notes.txt)"
    assert failed[:3] == [
        f"{tmp_path / 'missing.png'} does not exist",
        f"{tmp_path / 'empty'} has no images",
        f"{tmp_path / 'pipe.png'} is not a regular file",
    ]
    for line, name in zip(failed[3:], ("damaged.png", "notes.txt"), strict=True):
        assert line.startswith(f"cannot decode {tmp_path / 'in' / name}: ")


def test_names_are_shown_and_stay_what_they_are(shell: Shell, pets_run: Path, tmp_path: Path):
    name = os.fsdecode(b'caf\xe9\x1b, "x".png')
    save(tmp_path / name, GREY)
    _, out, _ = shell("predict", pets_run, tmp_path, "--csv")
    assert out.splitlines()[1].startswith(f'"{tmp_path}/caf\\xe9\\x1b, ""x"".png",')
    _, out, _ = shell("predict", pets_run, tmp_path, "--json")
    assert out.isascii()
    assert json.loads(out)[0]["file"] == str(tmp_path / name)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "error: name files or folders of images"),
        (("{empty}",), 1, "{empty} has no images"),
        (("{empty}", "--copy"), 2, "error: --copy needs --sort-into"),
        (("{empty}", "--top=0"), 2, "error: --top must be at least 1"),
        (("--csv", "{image}", "{empty}"), 2, "error: --csv: FILE must end in .csv, got {image}"),
        (("{empty}", "--csv", "--json"), 2, "error: --csv and --json cannot both go to stdout"),
        (("{image}", "--out={empty}"), 1, "{empty}: calibration.json is missing. Repeat --calibrate"),
        (("--calibrate", "--out={image}/a"), 1, "cannot write {image}/a/calibration.json: Not a directory"),
    ],
)
def test_wrong_use_is_one_message(
    shell: Shell,
    pets_run: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    status: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
):
    (tmp_path / "empty").mkdir()
    places = {"empty": tmp_path / "empty", "image": save(tmp_path / "image.png", GREY)}
    words = tuple(word.format(**places) for word in words)
    if status == 2:
        with pytest.raises(SystemExit, match="2"):
            shell("predict", pets_run, *words)
        out, err = capsys.readouterr()
    else:
        ended, out, err = shell("predict", pets_run, *words)
        assert (ended, err.count("\n")) == (1, 1)
    assert message.format(**places) in err
    assert out == ""
    assert Image.open(places["image"]).size == (3, 2)


def test_labels_that_are_not_classes(shell: Shell, pets: Path, pets_run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        TASKS, "_entries", {"classification": ("resnet_lab.tasks.classification:Classification", OTHER)}
    )
    status, _, err = shell("predict", pets_run, pets)
    assert (status, err.count("\n")) == (1, 1)
    assert "was trained for task=classification, whose predictions are no classes, attributes or numbers" in err


def test_a_closed_pipe_ends_quietly(
    pets: Path, pets_run: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    read, write = os.pipe()
    os.close(read)
    before = os.dup(1)
    os.dup2(write, 1)
    try:
        with open(1, "w", closefd=False) as stdout:  # closing it flushes what is left, as the end of a process does
            monkeypatch.setattr("sys.stdout", stdout)
            status = exit_status(main_of("predict"), [str(pets_run), str(pets / "test"), "--csv"])
    finally:
        monkeypatch.undo()
        os.dup2(before, 1)
        os.close(before)
        os.close(write)
    assert (status, capfd.readouterr()) == (1, ("", ""))
