"""A network in one file is the network of the run, and a file from a stranger is read or answered in one message."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.lab import Lab

from resnet_lab import load_run
from resnet_lab.command import exit_status
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.stored import to_dict
from resnet_lab.data.sources import read
from resnet_lab.export import main
from resnet_lab.tasks.shared import KEY, portable, read_shared, to_safetensors
from resnet_lab.use.export import export
from resnet_lab.use.formats import FORMATS, Format, load_safetensors
from resnet_lab.use.parts import Part
from resnet_lab.use.trained import Trained


@pytest.fixture(scope="module")
def shared(finished: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("shared") / "network.safetensors"
    export(finished.directory().path, "safetensors", file)
    return file


@pytest.mark.parametrize("place", [lambda file: file, lambda file: file.parent], ids=["file", "folder"])
def test_a_shared_network_is_that_of_the_run(place: Callable[[Path], Path], shared: Path, finished: Lab):
    (config, net), (stored, copy) = load_run(finished.directory().path), load_run(place(shared))
    weights, copies = net.state_dict(), copy.state_dict()
    assert weights.keys() == copies.keys()
    assert all(torch.equal(weights[name], copies[name]) for name in weights)
    assert not copy.training
    expected = to_dict(config)
    expected["output_dir"], expected["data"]["root"] = "outputs", "data"
    assert to_dict(stored) == expected
    pixels = read(config.data).test.pixels
    of_run, of_file = Trained.load(finished.directory().path), Trained.load(place(shared))
    assert of_file.classes == of_run.classes == ("0", "1", "2")
    assert torch.equal(of_run.probabilities(pixels), of_file.probabilities(pixels))


def test_a_file_names_its_run_and_no_folder_of_this_machine(shared: Path, finished: Lab, tmp_path: Path):
    path = finished.directory().path
    assert read_shared(shared).run == "/".join(path.parts[-3:])
    assert str(finished.output_dir).encode() not in shared.read_bytes()
    export(shared, "safetensors", again := tmp_path / "again")
    assert again.read_bytes() == shared.read_bytes()


def test_the_run_that_it_began_with_is_named_without_its_folder(finished: Lab):
    config = finished.config()
    config.pretrained.run = "/home/me/outputs/other.safetensors"
    assert portable(config)["pretrained"]["run"] == "other.safetensors"


def test_the_best_checkpoint_is_not_taken_for_the_last(finished: Lab, tmp_path: Path):
    path, file = finished.directory().path, tmp_path / "best.safetensors"
    export(path, "safetensors", file, "best")
    best = load_run(path, "best")[1].state_dict()
    for checkpoint in ("best", "last"):  # the file has only one
        assert all(
            torch.equal(best[name], tensor) for name, tensor in load_run(file, checkpoint)[1].state_dict().items()
        )
    export(path, "safetensors", file, "last")
    with pytest.raises(ConfigError, match="holds the last checkpoint, not best"):
        load_run(file, "best")


def test_a_file_that_computes_something_else_is_not_written(
    finished: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def content(trained: Trained, facts: dict[str, Any], part: Part) -> bytes:
        other = load_run(finished.directory().path)[1]
        torch.nn.init.zeros_(other.head.classifier.weight)
        return to_safetensors(other, facts)

    monkeypatch.setitem(FORMATS, "safetensors", Format(content, load_safetensors))
    with pytest.raises(ConfigError, match="differs from the trained one by 0"):
        export(finished.directory().path, "safetensors", tmp_path / "network.safetensors")
    assert list(tmp_path.iterdir()) == []


def changed_facts(**changes: object) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        facts = facts_of(file) | changes
        save_file(load_file(file), file, {KEY: json.dumps(facts)})

    return change


def changed_data(**changes: object) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        facts = facts_of(file)
        facts["config"]["data"] |= changes
        save_file(load_file(file), file, {KEY: json.dumps(facts)})

    return change


def changed_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def changed(file: Path) -> None:
        weights, facts = load_file(file), facts_of(file)
        change(weights)
        save_file(weights, file, {KEY: json.dumps(facts)})

    return changed


def facts_of(file: Path) -> dict[str, Any]:
    length = int.from_bytes(file.read_bytes()[:8], "little")
    facts: dict[str, Any] = json.loads(json.loads(file.read_bytes()[8 : 8 + length])["__metadata__"][KEY])
    return facts


def replaced_by(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def replace(file: Path) -> None:
        file.unlink()
        make(file)

    return replace


STEM = "stem.conv.weight"
STRANGE = {
    "empty": (lambda file: file.write_bytes(b""), "is not a network that"),
    "cut": (lambda file: file.write_bytes(file.read_bytes()[:-1]), "is not a network that"),
    "text": (lambda file: file.write_text("{" * 1000), "is not a network that"),
    "huge header": (lambda file: file.write_bytes(b"\xff" * 8 + file.read_bytes()), "is not a network that"),
    "pipe": (replaced_by(os.mkfifo), "is not a regular file"),
    "folder": (replaced_by(Path.mkdir), "is not a run directory"),
    "of others": (lambda file: save_file(load_file(file), file), "does not hold a JSON object"),
    "no JSON": (lambda file: save_file(load_file(file), file, {KEY: "{nope"}), "cannot be read"),
    "deep": (lambda file: save_file(load_file(file), file, {KEY: "[" * 10**6}), "cannot be read"),
    "no number": (changed_data(mean=[float("nan")]), "NaN is not JSON"),
    "no settings": (changed_facts(config=None), "config has the wrong type"),
    "other settings": (changed_facts(config={"modell": {}}), "there is no setting modell"),
    "newer": (changed_facts(config={"settings_version": 99}), "version"),
    "no mean": (changed_data(mean=None), "data.mean or data.std is missing"),
    "negative std": (changed_data(std=[-1.0] * 3), "data.std must be positive"),
    "too few classes": (changed_facts(classes=["a"]), "1 of 3 classes"),
    "no class names": (changed_facts(classes=[1, 2, 3]), "classes.0 has the wrong type"),
    "a tensor less": (changed_weights(lambda weights: weights.pop(STEM)), f"{STEM} differs"),
    "a tensor more": (changed_weights(lambda weights: weights.update(a=torch.ones(1))), ": a differs"),
    "other shape": (changed_weights(lambda weights: weights.update({STEM: torch.ones(1)})), f"{STEM} differs"),
    "other dtype": (changed_weights(lambda weights: weights.update({STEM: weights[STEM].half()})), f"{STEM} differs"),
}


@pytest.mark.parametrize("damage", STRANGE)
def test_a_strange_file_is_one_message(damage: str, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "strange.safetensors"
    file.write_bytes(shared.read_bytes())
    change, message = STRANGE[damage]
    change(file)
    assert exit_status(main, [str(file), "--to", "safetensors", "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert message in said.err
    assert str(file) in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_is_no_place_to_write_to(shared: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="--out must be a file"):
        export(shared, "safetensors", tmp_path)


def test_what_is_not_installed_is_named(
    shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert exit_status(main, [str(shared), "--to", "safetensors"]) == 1
    assert capsys.readouterr().err == "--to safetensors needs safetensors: pip install 'resnet-lab[export]'\n"
    with pytest.raises(ConfigError, match=r"reading .* needs safetensors: pip install 'resnet-lab\[export\]'"):
        load_run(shared)
