"""Run directories of 0.1, made by 0.1: found, shown, continued to its numbers, reported and inspected."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.composing import config as load_config
from support.lab import FailsAt

from resnet_lab import load_run
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.migrations import VERSION
from resnet_lab.inspect.__main__ import main as inspect
from resnet_lab.report.__main__ import main as report
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.identity import identity
from resnet_lab.rundir.place import run_directory
from resnet_lab.training.run import run

GOLDEN = Path(__file__).parents[1] / "golden" / "runs" / "0.1"
CONTINUED: dict[str, dict[str, Any]] = json.loads((GOLDEN / "continued.json").read_text())
[DONE] = [file.parent.relative_to(GOLDEN) for file in GOLDEN.rglob("result.json")]
TYPED = [
    "stacks=two",
    "units=n1",
    "filters=w16",
    "optim.batch_size=32",
    "trainer.max_batches=6",
    "trainer.max_epochs=2",
]
EXACT = ("epoch", "step", "lr")


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the user's, with what 0.1 left there."""
    shutil.copytree(GOLDEN, tmp_path / "outputs")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "outputs"


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("overrides", [TYPED, [*TYPED, "model.units=[1,1]", "optim.warmup_lr=7"]])
def test_what_is_done_is_shown_and_not_touched(outputs: Path, overrides: list[str]):
    before = contents(outputs)
    result = run(load_config(*overrides), [FailsAt(0)])
    stored = json.loads((outputs / DONE / "result.json").read_text())
    assert {name: result[name] for name in stored} == stored
    assert contents(outputs) == before


@pytest.mark.parametrize("place", CONTINUED)
def test_what_was_interrupted_is_continued_to_the_numbers_of_0_1(outputs: Path, place: str):
    expected = CONTINUED[place]
    config = load_config(*expected["overrides"])
    assert str(run_directory(config).path) == place
    assert RunDirectory(Path(place)).status()["state"] == "interrupted"
    result = run(config)
    assert [path.name for path in outputs.parent.iterdir()] == ["outputs"]
    assert str(run_directory(config).path) == place
    for epoch, (record, was) in enumerate(zip(result["history"], expected["history"], strict=True)):
        for name, value in was.items():
            first_half = (
                epoch < 2 or name in EXACT
            )  # recorded by 0.1 itself; the rest depends on the processor a little
            assert record[name] == (value if first_half else pytest.approx(value, rel=1e-3, abs=2)), name
    assert result["last"]["test_loss"] == pytest.approx(expected["last"]["test_loss"], rel=1e-3)
    assert run_directory(config).stored_config() == config


def test_all_are_reported(outputs: Path, capsys: pytest.CaptureFixture[str]):
    assert report([str(outputs)]) == 0
    printed = capsys.readouterr().out
    assert "digits, 2 epochs" in printed
    assert printed.count(": interrupted") == 2
    assert "damaged" not in printed


def test_what_is_done_is_inspected(outputs: Path):
    assert inspect([str(outputs / DONE), "filters", "mistakes"]) == 0
    assert (outputs / DONE / "inspect.html").exists()
    config, net = load_run(outputs / DONE)
    assert config.augment["crop"].pad == 1
    assert not config.augment["flip"].active
    assert not net.training


def test_of_several_directories_of_one_run_the_one_that_came_furthest_is_found(outputs: Path):
    other = outputs / DONE.parts[0] / "model.units=1,1" / DONE.name
    shutil.copytree(outputs / DONE, other)
    (other / "status.json").write_text('{"state": "interrupted"}')
    assert run_directory(load_config(*TYPED)).path.resolve() == outputs / DONE


def test_a_run_begun_by_this_version_has_its_own_place(outputs: Path):
    config = load_config(*TYPED, "seed=9")
    assert (
        run_directory(config).path.parts[-2]
        == "stacks-two_units-n1_filters-w16_batch_size-32_max_epochs-2_max_batches-6"
    )


def test_a_run_of_a_newer_version_is_refused_by_name(outputs: Path):
    config_file = outputs / DONE / "config.yaml"
    stored = yaml.safe_load(config_file.read_text())
    config_file.write_text(yaml.safe_dump({"settings_version": VERSION + 1, "written_by": "9.9", **stored}))
    with pytest.raises(ConfigError, match=r"config\.yaml: .* written by resnet_lab 9\.9, which is newer than this one"):
        load_run(outputs / DONE)


@pytest.mark.parametrize(
    ("section", "setting", "message"),
    [
        ("optim", {"warp": 9}, r"there is no setting optim\.warp in this version"),
        ("optim", {"lr": "fast"}, r"optim\.lr cannot be 'fast'"),
        ("optim", {"name": "sgdd"}, r"optim\.name cannot be 'sgdd'"),
        ("model", {"stem": 3}, r"model\.stem: expected settings, got 3"),
        ("model", {"unit": "nope"}, r"model\.unit can be bottleneck, basic, triple, dense, conv; got nope"),
    ],
)
def test_what_cannot_be_read_is_named(outputs: Path, section: str, setting: dict[str, Any], message: str):
    config_file = outputs / DONE / "config.yaml"
    stored = yaml.safe_load(config_file.read_text())
    stored[section] |= setting
    config_file.write_text(yaml.safe_dump(stored))
    with pytest.raises(ConfigError, match=message):
        load_run(outputs / DONE)


def test_a_setting_that_was_not_there_yet_has_its_default(outputs: Path):
    config_file = outputs / DONE / "config.yaml"
    stored = yaml.safe_load(config_file.read_text())
    del (
        stored["optim"]["clip_norm"],
        stored["model"]["stack_shortcut"],
        stored["deterministic"],
        stored["model"]["head"],
    )
    config_file.write_text(yaml.safe_dump(stored))
    assert identity(RunDirectory(outputs / DONE).stored_config()) == identity(load_config(*TYPED))
