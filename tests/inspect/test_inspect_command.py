"""`python -m resnet_lab.inspect`, as a person uses it."""

import os
import re
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.composing import config as load_config
from support.pictures import noise
from support.scene import SMALL, Run

from resnet_lab import load_run
from resnet_lab.command import exit_status
from resnet_lab.config.branch import StochasticDepthConfig
from resnet_lab.config.model_enums import Bridges
from resnet_lab.config.tasks import CLASSIFICATION
from resnet_lab.inspect.__main__ import main
from resnet_lab.inspect.context import Choices, InspectContext, context, without_shortcuts
from resnet_lab.inspect.sections import FLOW_IMAGES, PARTS, Shown
from resnet_lab.interrupts import exit_on_signals
from resnet_lab.model.branch import LearnedScale, StochasticDepth
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.model.shortcuts import Plain, Projection
from resnet_lab.rundir.place import run_directory
from resnet_lab.tasks.pretrained import identified
from resnet_lab.training.run import run
from resnet_lab.use.run import Run as Trained

pytestmark = pytest.mark.slow


def look(*arguments: object) -> int:
    return exit_status(main, [str(argument) for argument in arguments])


def figures(out: Path) -> set[str]:
    return {file.stem for file in (out / "figures").iterdir()}


@pytest.fixture
def fewest_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of optimisations, as for a large network; `test_getting_started.py` takes all of them."""
    monkeypatch.setattr("resnet_lab.inspect.show_images.BUDGET", 0)


def test_mistakes_of_own_images_name_the_files(tmp_path: Path):
    """Those that the network, asked for each file, gets wrong; the most confident first."""
    folder = noise(tmp_path / "pets", {"train/cat": 12, "train/dog": 12, "test/cat": 6, "test/dog": 6})
    words = (
        *SMALL,
        "trainer.max_epochs=2",
        "data=image_folder",
        f"data.root={folder}",
        "data.image_size=8",
        "data.num_classes=null",
        "data.validation=0",
    )
    config = load_config(*words, f"output_dir={tmp_path / 'runs'}")
    run(config)
    path = run_directory(identified(config)[0]).path
    assert look(path, "mistakes", "--out", tmp_path) == 0
    [told] = re.findall(r"Files: (.*)\.<", (tmp_path / "inspect.html").read_text())
    made = Trained(path).predict(folder / "test")
    wrong = [one for one in made if one.ranking[0][0] != one.file.parent.name]
    wrong.sort(key=lambda one: -one.ranking[0][1])
    assert wrong
    assert told.split(", ") == [str(one.file.relative_to(folder)) for one in wrong]


def test_everything(trained: Run, tmp_path: Path, fewest_steps: None, capsys: pytest.CaptureFixture[str]):
    assert look(trained.path, "--out", tmp_path, "--compare", trained.path) == 0
    expected = {"flow", "filters", "weights", "saliency", "confusion", "reliability"}
    expected |= {"inversion", "inversion-2", "inversion-frequency", "patterns-stacks.0", "patterns-innermost"}
    expected |= {f"maps-0-{layer}" for layer in ("stem", "stacks.0", "stacks.1", "innermost")}
    assert figures(tmp_path) - {"confident-mistakes"} == expected
    for file in (tmp_path / "figures").iterdir():
        with Image.open(file) as picture:
            assert min(picture.size) > 150
            assert np.asarray(picture.convert("L")).std() > 5  # something is drawn
    page = (tmp_path / "inspect.html").read_text()
    assert len(re.findall(r'<img alt="[^"]+" src="data:image/png;base64,', page)) == len(figures(tmp_path))
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "prefers-color-scheme: dark" in page
    times = re.findall(r"^(\w+) +\d+\.\d s", capsys.readouterr().err, re.MULTILINE)
    assert tuple(times) == CLASSIFICATION.figures


def test_choices(trained: Run, tmp_path: Path):
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 30, 3), dtype=np.uint8)).save(photo)
    chosen = ("--images", 5, photo, "--layers", "stacks.1.units.0", "--maps", 3, 1, "--class", "7")
    assert look(trained.path, "maps", "patterns", "--out", tmp_path, *chosen) == 0
    names = {"maps-0-stacks.1.units.0", "maps-1-stacks.1.units.0", "patterns-stacks.1.units.0"}
    assert figures(tmp_path) == names
    assert "photo.png: " in (tmp_path / "inspect.html").read_text()


def test_a_part_that_fails_does_not_take_the_others_down(
    trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fails(context: InspectContext) -> Iterator[Shown]:
        """Feature maps."""
        yield from PARTS["flow"](context)
        raise ValueError("out of <luck> [/closing] [int]")

    monkeypatch.setitem(PARTS, "maps", fails)
    assert look(trained.path, "--out", tmp_path, "filters", "maps", "mistakes") == 1
    assert {"filters", "flow", "confusion"} <= figures(tmp_path)
    assert "failed: ValueError: out of <luck> [/closing] [int]" in capsys.readouterr().err
    assert "failed: ValueError: out of &lt;luck&gt;" in (tmp_path / "inspect.html").read_text()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_page_of_what_was_made(
    trained: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    handlers: None,
    signum: signal.Signals,
):
    def interrupted(context: InspectContext) -> Iterator[Shown]:
        """Feature maps."""
        try:
            os.kill(os.getpid(), signum)
        finally:
            raise ValueError("as C++ code ends that calls Python")
        yield

    monkeypatch.setitem(PARTS, "maps", interrupted)
    with pytest.raises(SystemExit) as ended, exit_on_signals():
        look(trained.path, "--out", tmp_path, "filters", "maps", "mistakes")
    assert ended.value.code == 128 + signum
    assert figures(tmp_path) == {"filters", "weights"}
    page = (tmp_path / "inspect.html").read_text()
    assert len(re.findall(r"<img ", page)) == 2
    assert "interrupted after 1 of 3 parts" in capsys.readouterr().err


def test_a_page_that_cannot_be_written(trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "inspect.html").mkdir()
    assert look(trained.path, "--out", tmp_path, "filters") == 1
    assert "Is a directory" in capsys.readouterr().err.splitlines()[-1]


def test_compare_with_a_network_that_lacks_a_layer(trained: Run, tmp_path: Path, fewest_steps: None):
    overrides = ["stacks=two", "model.units=[1]", "filters=w16", "trainer.max_epochs=1", "trainer=cpu"]
    overrides.append(f"output_dir={tmp_path}")
    config = load_config(*overrides)
    run(config)
    layers = ("--layers", "stem", "stacks.0.units.1")
    assert look(trained.path, "inversion", *layers, "--compare", run_directory(config).path, "--out", tmp_path) == 0
    assert {"inversion", "inversion-2", "inversion-frequency"} <= figures(tmp_path)


def test_maps_are_chosen_by_files_too(trained: Run, tmp_path: Path):
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8), dtype=np.uint8)).save(photo)
    config, net = load_run(trained.path)
    looked_at = context(config, net, Choices(images=("3", str(photo))), [], iter)
    (first, rows), (second, others) = looked_at.map_selectors
    assert first.startswith("#3: ")
    assert second.startswith("photo.png: ")
    assert (rows.tolist(), others.tolist()) == ([len(looked_at.images)], [len(looked_at.images) + 1])


def test_the_plain_network_has_no_shortcuts_of_any_kind(trained: Run):
    config, net = load_run(trained.path)
    everything = {"bridges": Bridges.stack, "learned_scale": 0.0, "stochastic_depth": StochasticDepthConfig(rate=0.5)}
    model = replace(config.model, **everything)
    plain = without_shortcuts(model)
    assert plain
    assert not plain.crosses
    looked_at = replace(context(config, net, Choices(), [], iter), config=replace(config, model=model))
    kinds = {type(layer) for layer in looked_at.untrained(plain=True).modules()}
    assert Plain in kinds
    assert not kinds & {Projection, StochasticDepth, LearnedScale}
    for bridges in (Bridges.none, Bridges.stack_concat):
        assert without_shortcuts(replace(config.model, bridges=bridges)) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("moons",), "unknown part moons; choose from flow, filters"),
        (("--images", "100000"), "there is no image 100000; there are 144, numbered from 0"),
        (("--images", "²"), "² is neither the number of an image nor a file"),
        (("--images", "nowhere.png"), "nowhere.png is neither the number of an image nor a file"),
        (("--class", "cat"), "unknown class cat; known classes: 0, 1"),
        (("--layers", "stacks.9"), "unknown layer stacks.9; choose from stem"),
        (("--maps", "99", "--layers", "stem"), "there is no map 99 in stem; it has 16, numbered from 0"),
        (("--maps", "1"), "name the layer with --layers"),
        (("--checkpoint", "best", "--compare", "nowhere"), "nowhere is not a run directory"),
    ],
)
def test_mistakes_are_told_before_any_work(
    trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
):
    out = tmp_path / "out"
    assert look(trained.path, *arguments, "--out", out) == 1
    told = capsys.readouterr().err.strip()
    assert message in told
    assert len(told.splitlines()) == 1
    assert not out.exists()


def test_images_of_all_classes_are_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Those of a folder are sorted by class: 64 in a row would be of one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = noise(tmp_path / "images", {f"{part}/{name}": 100 for part in ("train", "test") for name in "ab"})
    own = ("data=image_folder", f"data.root={root}", "data.channels=1", "data.image_size=8", "augment=none")
    for validation, part in (("0.7", "validation"), ("0", "test")):
        config = load_config(*own, f"data.validation={validation}")
        seen = context(config, ResNetV2(config.model), Choices(), (), iter)
        assert seen.part == part
        assert np.bincount(seen.labels[:FLOW_IMAGES].numpy()).min() > FLOW_IMAGES / 4


def test_a_class_without_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    overrides = [*SMALL, "data.num_classes=40", "data.num_images=60", "data.validation=10", "trainer.max_epochs=1"]
    overrides += ["trainer=cpu", f"output_dir={tmp_path}"]
    config = load_config(*overrides)
    run(config)
    path = run_directory(config).path
    looked_at = context(*load_run(path), Choices(), [], iter)
    [missing, *_] = sorted(set(range(40)) - set(looked_at.labels.tolist()))
    assert look(path, "patterns", "--class", looked_at.classes[missing]) == 1
    assert f"--class: none of the images has class {looked_at.classes[missing]}" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [("data.channels=4", "head=latent"), ("data.channels=2", "shortcut=none")])
def test_other_channels_and_heads(kind: tuple[str, ...], tmp_path: Path, fewest_steps: None):
    overrides = [*SMALL, *kind, "data.num_images=40", "data.validation=0", "trainer.max_epochs=1", "trainer=cpu"]
    overrides.append(f"output_dir={tmp_path}")
    config = load_config(*overrides)
    run(config)
    path = run_directory(config).path
    assert look(path) == 0
    assert (path / "inspect.html").exists()
    assert {"flow", "filters", "saliency", "confusion", "patterns-innermost"} <= figures(path)
