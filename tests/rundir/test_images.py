"""A run knows its images: wherever their folder is, and whatever has happened to it since the run began."""

import json
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from support.composing import config as load_config
from support.lab import FailsAt
from support.pictures import GREY, noise, save

from resnet_lab import load_run
from resnet_lab.config.checks import ConfigError
from resnet_lab.interrupts import RunFailed
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.images import DataFacts
from resnet_lab.rundir.place import _runs_of_0_1
from resnet_lab.training.run import Result, run

SMALL = (
    "data=image_folder",
    "data.channels=1",
    "data.image_size=8",
    "stacks=two",
    "filters=w16",
    "units=n1",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "trainer.num_threads=1",
    "diagnostics=off",
)
MANY = (  # settings, more than a name can have
    "optim.weight_decay=0.00125",
    "optim.batch_size=7",
    "optim.lr=0.0125",
    "optim.warmup_iterations=3",
    "optim.label_smoothing=0.125",
    "data.validation=5",
)
COUNTS = {"train/cat": 12, "train/dog": 12, "test/cat": 4, "test/dog": 4}


class Home:
    """A user's folder with outputs and images."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pets = noise(path / "images" / "pets", COUNTS)

    def run(self, *overrides: str, root: Path | None = None, stop: bool = False) -> Result:
        """Train; with `stop`, until the second epoch."""
        config = load_config(*SMALL, f"data.root={root or self.pets}", f"output_dir={self.path}/outputs", *overrides)
        if not stop:
            return run(config)
        with pytest.raises(RunFailed):
            run(config, [FailsAt(1)])
        return {}

    def runs(self) -> list[Path]:
        return sorted(file.parent for file in (self.path / "outputs").rglob("config.yaml"))

    def only(self) -> RunDirectory:
        [path] = self.runs()
        return RunDirectory(path)

    def contents(self) -> dict[Path, bytes]:
        """Everything that runs have left."""
        return {path: path.read_bytes() for path in (self.path / "outputs").rglob("*") if path.is_file()}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Home(tmp_path)


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What runs say."""
    lines: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger, ear = logging.getLogger("resnet_lab"), Ear(logging.INFO)
    level = logger.level
    logger.addHandler(ear)
    logger.setLevel(logging.DEBUG)
    yield lines
    logger.removeHandler(ear)
    logger.setLevel(level)


def swap(root: Path) -> None:
    """Rename the class folders so that they sort the other way."""
    for part in ("train", "test"):
        (root / part / "dog").rename(root / part / "aardvark")


def add(root: Path) -> None:
    noise(root, {"train/cat": 600}, first=100)


def remove(root: Path) -> None:
    shutil.rmtree(root / "test" / "dog")


def replace(root: Path) -> None:
    """Other images of the same names and, byte for byte, the same sizes."""
    for path in (root / "test" / "dog").iterdir():
        data = bytearray(path.read_bytes())
        data[-20] ^= 1  # in the checksum of the pixels
        path.write_bytes(data)


def add_class(root: Path) -> None:
    noise(root, {"train/emu": 5})


def add_part(root: Path) -> None:
    noise(root, {"val/cat": 3})


CHANGES = {
    "swap": (
        swap,
        [
            "test/aardvark: 4 images, new",
            "test/dog: 4 images, gone",
            "train/aardvark: 12 images, new",
            "train/dog: 12 images, gone",
        ],
    ),
    "add": (add, ["train/cat: 600 more images"]),
    "remove": (remove, ["test/dog: 4 images, gone"]),
    "add a class": (add_class, ["train/emu: 5 images, new"]),
    "add a part": (add_part, ["val/cat: 3 images, new"]),
    "replace": (replace, ["test/dog: still 4 images, but not the same"]),
}


# --- cases 1 to 3: what has changed is refused


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("stop", [True, False], ids=["interrupted", "done"])
def test_changed_images_are_refused_with_what_changed(home: Home, change: str, stop: bool) -> None:
    home.run(stop=stop)
    directory = home.only()
    alter, expected = CHANGES[change]
    alter(home.pets)
    before = home.contents()
    for overrides in ([], ["dry_run=true"]):
        with pytest.raises(ConfigError) as caught:
            home.run(*overrides)
        message = str(caught.value)
        assert "\n" not in message
        assert "; ".join(expected) in message
        assert str(directory.path) in message
        # A network cannot continue with other classes.
        assert ("data.on_change=continue" in message) == (change not in ("swap", "add a class"))
        assert home.contents() == before


@pytest.mark.long
@pytest.mark.slow
def test_as_a_command_it_is_one_line_and_exit_status_1(home: Home) -> None:
    home.run(stop=True)
    add(home.pets)
    before = home.contents()
    command = [*SMALL, f"data.root={home.pets}", f"output_dir={home.path}/outputs"]
    done = subprocess.run([sys.executable, "-m", "resnet_lab", *command], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "train/cat: 600 more images" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert home.contents() == before


@pytest.mark.slow
def test_a_change_that_is_undone_is_none(home: Home) -> None:
    home.run(stop=True)
    (home.pets / "train" / "cat" / "3.png").rename(home.path / "3.png")
    with pytest.raises(ConfigError, match="train/cat: 1 fewer image"):
        home.run()
    shutil.copyfile(home.path / "3.png", home.pets / "train" / "cat" / "3.png")  # at another time
    assert home.run()["images"]["changes"] == []
    assert len(home.runs()) == 1


@pytest.mark.slow
def test_on_request_a_run_goes_on_and_says_so(home: Home, said: list[str]) -> None:
    home.run(stop=True)
    add(home.pets)
    result = home.run("data.on_change=continue")
    directory = home.only()
    change = {"after_epoch": 1, "what": "train/cat: 600 more images"}
    assert result["images"]["changes"] == directory.image_changes() == [change]
    assert len(result["history"]) == 2
    assert result["images"]["images"]["train"] > 500
    [note] = [line for line in said if "changed" in line]
    assert "train/cat: 600 more images" in note
    assert note in directory.log_file.read_text()
    assert directory.stored_config().data.fingerprint == result["images"]["fingerprint"]
    assert home.run() == result  # the images are now the run's own
    shutil.rmtree(home.pets / "test" / "dog")
    with pytest.raises(ConfigError, match="test/dog: 4 images, gone"):
        home.run()
    assert home.run("data.on_change=continue") == result  # shown, as it was
    assert directory.image_changes() == [change]


@pytest.mark.slow
def test_a_run_cannot_go_on_with_another_number_of_classes(home: Home) -> None:
    home.run(stop=True)
    add_class(home.pets)
    before = home.contents()
    with pytest.raises(ConfigError, match=r"data\.num_classes is 2 there, 3 now"):
        home.run("data.on_change=continue")
    assert home.contents() == before


@pytest.mark.slow
def test_a_run_that_is_continued_twice_lists_both_changes(home: Home) -> None:
    three = "trainer.max_epochs=3"
    home.run(three, stop=True)
    noise(home.pets, {"train/cat": 3}, first=100)
    config = load_config(*SMALL, f"data.root={home.pets}", f"output_dir={home.path}/outputs", three)
    config.data.on_change = type(config.data.on_change)["continue"]
    with pytest.raises(RunFailed):
        run(config, [FailsAt(2)])
    noise(home.pets, {"test/dog": 1}, first=100)
    with pytest.raises(ConfigError, match=r"test/dog: 1 more image"):
        home.run(three)
    result = home.run(three, "data.on_change=continue")
    assert result["images"]["changes"] == [
        {"after_epoch": 1, "what": "train/cat: 3 more images"},
        {"after_epoch": 2, "what": "test/dog: 1 more image"},
    ]


# --- where the folder is


@pytest.mark.slow
@pytest.mark.parametrize("stop", [True, False], ids=["interrupted", "done"])
@pytest.mark.parametrize("place", ["moved/pets", "images/animals", "moved/animals"])
def test_a_moved_or_renamed_folder_is_the_same_run(home: Home, said: list[str], place: str, stop: bool) -> None:
    home.run(stop=stop)
    directory = home.only()
    (home.path / place).parent.mkdir(exist_ok=True)
    home.pets.rename(home.path / place)
    said.clear()
    result = home.run(root=home.path / place)
    assert home.only().path == directory.path
    assert len(result["history"]) == 2
    assert result["images"]["changes"] == []
    assert any(("continue after epoch 1" if stop else "already done") in line for line in said)
    add(home.path / place)
    if not stop:  # its folder is known from where it was when the run was done
        return
    with pytest.raises(ConfigError, match="train/cat: 600 more images"):
        home.run(root=home.path / place)


@pytest.mark.slow
def test_a_copy_and_a_link_are_the_same_run(home: Home) -> None:
    result = home.run()
    shutil.copytree(home.pets, home.path / "copy", copy_function=shutil.copyfile)  # with other times
    (home.path / "link").symlink_to(home.pets)
    assert home.run(root=home.path / "copy") == home.run(root=home.path / "link") == result
    assert len(home.runs()) == 1


@pytest.mark.slow
def test_a_renamed_folder_is_known_from_inside_and_by_a_long_name(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.run(*MANY, stop=True)
    home.pets.rename(home.path / "images" / "my animals")
    monkeypatch.chdir(home.path / "images" / "my animals")
    home.run(*MANY, root=Path("."))
    directory = home.only()
    assert len(directory.result()["history"]) == 2
    assert directory.stored_config().data.folder == home.path / "images" / "my animals"
    add(Path.cwd())
    for root in (Path("."), Path.cwd()):
        with pytest.raises(ConfigError, match="train/cat: 600 more images"):
            home.run(*MANY, root=root)
    assert home.only().path == directory.path


@pytest.mark.slow
def test_two_folders_of_one_name_have_different_directories(home: Home) -> None:
    other = noise(home.path / "other" / "pets", COUNTS | {"train/cat": 15})
    one, two = home.run(), home.run(root=other)
    names = [path.parent.name for path in home.runs()]
    assert len(names) == 2
    for result in (one, two):
        digits = result["images"]["fingerprint"][:6]
        assert re.fullmatch(r"[0-9a-f]{6}", digits)
        assert sum(name.endswith(f"_root-pets_{digits}") for name in names) == 1
    assert one["identity"] != two["identity"]
    assert home.run() == one
    assert home.run(root=other) == two
    noise(other, {"train/dog": 1}, first=50)
    with pytest.raises(ConfigError, match="train/dog: 1 more image"):  # each notices its own changes
        home.run(root=other)
    assert home.run() == one
    assert len(home.runs()) == 2


@pytest.mark.slow
def test_long_names_and_names_of_experiments_keep_the_digits(home: Home) -> None:
    home.run(*MANY, stop=True)
    directory = home.only()
    fingerprint = directory.stored_config().data.fingerprint
    assert fingerprint
    assert directory.path.parent.name.endswith(f"_{fingerprint[:6]}")
    assert len(directory.path.parent.name.encode()) <= 130
    add(home.pets)
    with pytest.raises(ConfigError, match="train/cat: 600 more images"):
        home.run(*MANY)


@pytest.mark.slow
@pytest.mark.parametrize("other", ["optim.label_smoothing=0.25", "data.validation=6"])
def test_long_names_that_differ_in_their_hash_alone_are_other_runs(home: Home, other: str) -> None:
    home.run(*MANY, stop=True)
    home.run(*MANY, other)
    one, two = (path.parent.name for path in home.runs())
    assert one != two
    assert one[: -len("12345678_123456")] == two[: -len("12345678_123456")]


@pytest.mark.slow
def test_other_seeds_and_settings_on_changed_images_are_runs_of_their_own(home: Home) -> None:
    first = home.run()
    add(home.pets)
    second = home.run("seed=1")
    assert second["images"]["fingerprint"] != first["images"]["fingerprint"]
    one, other = home.runs()
    assert one.parent != other.parent  # seeds of one folder are repetitions of one thing


# --- what is stored


@pytest.mark.slow
def test_classes_and_numbers_are_stored_with_a_run(home: Home) -> None:
    save(home.pets / "train" / "cat" / "notes.txt.png", GREY)
    (home.pets / "train" / "cat" / "notes.txt").touch()
    result = home.run("data.validation=5")
    directory = home.only()
    images = result["images"]
    assert images["classes"] == ["cat", "dog"]
    assert images["images"] == {"train": 20, "validation": 5, "test": 8}
    assert re.fullmatch(r"[0-9a-f]{16}", images["fingerprint"])
    assert (images["range"], images["damaged"], images["changes"]) == (None, 0, [])
    left_out = "train: 1 of 26 files left out: 1 .txt (train/cat/notes.txt)"
    assert images["notes"] == [left_out]
    assert left_out in directory.log_file.read_text()
    assert json.loads(directory.result_file.read_text())["images"] == images
    record = json.loads(directory.images_file.read_text())
    assert DataFacts.from_dict(record).fingerprint == record["fingerprint"] == images["fingerprint"]
    assert {part: {name: own[0] for name, own in by.items()} for part, by in record["by_class"].items()} == {
        "train": {"cat": 13, "dog": 12},
        "test": {"cat": 4, "dog": 4},
    }
    stored = yaml.safe_load(directory.config_file.read_text())
    assert stored["data"]["fingerprint"] == images["fingerprint"]
    assert stored["data"]["root"] == str(home.pets)
    checkpoint = torch.load(directory.last, weights_only=True)
    assert checkpoint["resnet_lab"]["images"]["classes"] == ["cat", "dog"]
    assert checkpoint["resnet_lab"]["config"]["data"]["fingerprint"] == images["fingerprint"]


@pytest.mark.slow
def test_the_number_of_damaged_images_is_stored(home: Home, said: list[str]) -> None:
    for name in ("train/cat/x.png", "train/dog/y.jpg", "test/cat/z.png"):
        (home.pets / name).write_bytes(b"junk")
    with pytest.raises(ConfigError, match=r"^3 of 35 images in .* cannot be decoded: train/cat/x\.png \(.*skip_dam"):
        home.run()
    assert home.runs() == []
    result = home.run("data.skip_damaged=true", "data.validation=4")
    assert result["images"]["damaged"] == 3
    assert result["images"]["images"] == {"train": 20, "validation": 4, "test": 8}
    assert any("3 damaged images left out" in line for line in said)
    save(home.pets / "train" / "cat" / "x.png", GREY)
    with pytest.raises(ConfigError, match="train/cat: still 13 images, but not the same"):
        home.run("data.skip_damaged=true", "data.validation=4")


@pytest.mark.slow
def test_published_images_are_known_too(home: Home) -> None:
    config = load_config("units=n1", "filters=w16", "trainer=debug", f"output_dir={home.path}/outputs")
    result = run(config)
    assert result["images"]["classes"] == list("0123456789")
    assert result["images"]["images"] == {"train": 1293, "validation": 144, "test": 360}
    assert re.fullmatch(r"[0-9a-f]{16}", result["images"]["fingerprint"])
    assert config.data.fingerprint is None  # part of the identity of own images only


@pytest.mark.slow
def test_a_damaged_record_is_no_reason_to_forget_the_images(home: Home) -> None:
    home.run(stop=True)
    directory = home.only()
    for damage in ("", "[]", "{", '{"by_class": {"train": 3}, "classes": []}'):
        directory.images_file.write_text(damage)
        add(home.pets)
        with pytest.raises(ConfigError, match=r"the fingerprint was \w{16}, and is \w{16} now"):
            home.run()
    for path in (home.pets / "train" / "cat").glob("[1-9][0-9][0-9]*.png"):
        path.unlink()
    assert home.run()["images"]["changes"] == []


@pytest.mark.slow
def test_a_run_without_a_record_gets_one_and_says_so_once(home: Home, said: list[str]) -> None:
    """As 0.1 left it, with the settings that 0.1 had, which today's defaults are not."""
    former = ("data.background=null", "data.range=[0,65535]", "data.layout=train_test", "data.subfolders=false")
    home.run(*former, stop=True)
    directory = home.only()
    fingerprint = directory.stored_config().data.fingerprint
    directory.images_file.unlink()
    stored = yaml.safe_load(directory.config_file.read_text())
    for name in ("fingerprint", "on_change", "layout", "subfolders", "skip_damaged", "background", "range", "fit"):
        del stored["data"][name]
    for name in ("test", "test_split_seed", "num_train"):
        del stored["data"][name]
    augment = stored.pop("augment")
    stored["data"] |= {"pad": augment["crop"]["pad"], "flip": augment["flip"]["p"] > 0}
    optim = stored["optim"]
    for name in ("decayed", "decay_schedule", "cycle_momentum", "eps", "warmup", "ema"):
        del optim[name]
    schedule = optim.pop("schedule")
    optim |= {"schedule": schedule["kind"], "milestones": schedule["milestones"], "lr_factors": schedule["factors"]}
    del stored["settings_version"], stored["written_by"]
    directory.config_file.write_text(yaml.safe_dump(stored, sort_keys=False))
    shutil.move(directory.path.parent, directory.path.parent.with_name("data.root=pets,units=n1"))
    [old] = home.runs()
    directory = RunDirectory(old)
    directory.last.unlink()  # its checkpoint would know
    _runs_of_0_1.cache_clear()  # of a process that saw the folder when it was empty
    said.clear()

    home.run(*former, stop=True)
    assert home.runs() == [old]
    assert sum("without a record of its images" in line for line in said) == 1
    assert directory.stored_config().data.fingerprint == fingerprint
    assert json.loads(directory.images_file.read_text())["fingerprint"] == fingerprint
    said.clear()
    add(home.pets)
    with pytest.raises(ConfigError, match="train/cat: 600 more images"):
        home.run(*former)
    assert home.runs() == [old]
    home.run(*former, "data.on_change=continue")
    assert home.runs() == [old]
    assert not any("without a record" in line for line in said)


@pytest.mark.slow
def test_a_fingerprint_that_is_asked_for_is_compared(home: Home) -> None:
    with pytest.raises(ConfigError) as caught:
        home.run("data.fingerprint=0123456789abcdef")
    assert str(caught.value).startswith("data.fingerprint=0123456789abcdef, but the images in ")
    assert home.runs() == []
    now = str(caught.value).partition("have fingerprint ")[2][:16]
    home.run(f"data.fingerprint={now}")
    config, _ = load_run(home.only().path)
    assert config.data.fingerprint == now
