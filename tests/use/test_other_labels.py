"""What is predicted, evaluated and exported of attributes and of numbers."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from least import LEAST, Shell
from PIL import Image
from scipy.special import expit
from scipy.stats import t, ttest_rel
from support.lab import TINY, Lab

from resnet_lab import Run, load_run
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig
from resnet_lab.config.registry import DATASETS
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.images import Normalisation
from resnet_lab.data.sources import Images, Source
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.tasks.base import task_of

NAMES = ("eights", "fours", "twos", "ones", "prime", "loop")


class OtherLab(Lab):
    """Runs of the least network on digits with attributes, and on random images with random numbers."""

    def overrides(self, *changes: str) -> list[str]:
        ours = [word for word in TINY if not word.startswith("data")]
        return [*ours, *LEAST, f"output_dir={self.output_dir}", *changes]


@pytest.fixture(scope="module")
def bits(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs that predict attributes."""
    lab = OtherLab(tmp_path_factory.mktemp("bits"))
    words = ("data=digit_bits", "task=attributes", "data.num_train=64")
    for seed in (0, 1):
        lab.run(*words, f"seed={seed}")
    return [lab.directory(*words, f"seed={seed}").path for seed in (0, 1)]


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs that predict a number."""
    lab = OtherLab(tmp_path_factory.mktemp("numbers"))
    words = ("data=fake", "task=regression", "data.channels=1", "data.image_size=8", "data.num_images=64")
    for seed in (0, 1):
        lab.run(*words, f"seed={seed}")
    return [lab.directory(*words, f"seed={seed}").path for seed in (0, 1)]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for name, pixels in zip("ab", np.random.default_rng(0).integers(0, 256, (2, 8, 8), np.uint8), strict=True):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def outputs_for(run: Path, pixels: np.ndarray) -> torch.Tensor:
    """With the parts that a notebook uses."""
    config, net = load_run(run)
    assert config.data.mean
    assert config.data.std
    with torch.no_grad():
        return net(Normalisation(tuple(config.data.mean), tuple(config.data.std))(torch.from_numpy(pixels)))


def of_files(run: Path, folder: Path) -> torch.Tensor:
    return outputs_for(run, np.stack([np.array(Image.open(file))[None] for file in sorted(folder.iterdir())]))


def test_attributes_are_predicted(shell: Shell, bits: list[Path], pictures: Path):
    expected = expit(of_files(bits[0], pictures).numpy())
    on = [[name for name, p in zip(NAMES, row, strict=True) if p > 0.5] for row in expected]
    _, out, _ = shell("predict", bits[0], pictures, "--json")
    found = json.loads(out)
    assert [entry["on"] for entry in found] == on
    for entry, row in zip(found, expected, strict=True):
        assert entry["probabilities"] == pytest.approx(dict(zip(NAMES, row.tolist(), strict=True)), abs=1e-6)
    _, out, _ = shell("predict", bits[0], pictures, "--csv")
    header, *rows = csv.reader(io.StringIO(out))
    assert header == ["file", "on", *NAMES]
    assert [row[1].split("; ") for row in rows] == [names or [""] for names in on]
    assert np.allclose([[*map(float, row[2:])] for row in rows], expected, atol=1e-6)
    _, out, _ = shell("predict", bits[0], pictures)
    assert out.split("\n")[0].split() == ["file", "on", *NAMES]
    assert f"{100 * expected[0, 0]:.1f} %" in out
    api = Run(bits[0]).predict(pictures)
    assert [one.on for one in api] == on
    assert [*api[0].attributes.values()] == pytest.approx(expected[0].tolist(), abs=1e-6)


def test_numbers_are_predicted(shell: Shell, numbers: list[Path], pictures: Path):
    config, _ = load_run(numbers[0])
    assert config.data.label_scale
    mean, std = config.data.label_scale
    expected = (mean + std * of_files(numbers[0], pictures)[:, 0]).tolist()
    _, out, _ = shell("predict", numbers[0], pictures, "--json")
    assert [entry["number"] for entry in json.loads(out)] == pytest.approx(expected, abs=1e-6)
    _, out, _ = shell("predict", numbers[0], pictures, "--csv")
    assert out.split("\n")[0] == "file,number"
    assert [one.number for one in Run(numbers[0]).predict(pictures)] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("words", [("--top", 2), ("--sort-into", "sorted"), ("--calibrate",)])
def test_what_needs_classes_is_refused(shell: Shell, bits: list[Path], pictures: Path, words: tuple[object, ...]):
    status, out, err = shell("predict", bits[0], pictures, *words)
    assert (status, out) == (1, "")
    assert err == f"{words[0]}: {bits[0]} was trained for task=attributes, whose labels are not classes\n"
    assert not Path("sorted").exists()


def evaluated(shell: Shell, tmp_path: Path, *words: object) -> tuple[dict, str]:
    """What `evaluate --json` writes and what it prints."""
    status, out, err = shell("evaluate", *words, "--json", tmp_path / "made.json", "--page", tmp_path / "made.html")
    assert status == 0, err
    return json.loads((tmp_path / "made.json").read_text()), out


def test_attributes_are_evaluated(shell: Shell, bits: list[Path], tmp_path: Path):
    """Error and details are those in result.json; the interval and the comparison are Student's, over images."""
    made, out = evaluated(shell, tmp_path, *bits)
    data = ImageData(load_run(bits[0])[0])
    each = []
    for run, found in zip(bits, made["runs"], strict=True):
        result = RunDirectory(run).result()
        for name, value in result["test"]["last"].items():
            assert found[name] == pytest.approx(value)
        assert found["error"] == pytest.approx(result["last"]["test_error"])
        wrong = (outputs_for(run, data.source.test.pixels).numpy() > 0) != data.source.test.labels
        each.append(100 * wrong.mean(axis=1))
        low, high = t.interval(0.95, 359, each[-1].mean(), each[-1].std(ddof=1) / 360**0.5)
        assert found["interval"] == pytest.approx([low, high])
    [comparison] = made["comparisons"]
    assert comparison["gap"] == pytest.approx(each[0].mean() - each[1].mean())
    assert comparison["p"] == pytest.approx(ttest_rel(*each).pvalue)
    assert "attribute errors" in out
    assert "paired t-test" in out
    assert "majority error" in (tmp_path / "made.html").read_text()


def test_numbers_are_evaluated(shell: Shell, numbers: list[Path], tmp_path: Path):
    made, out = evaluated(shell, tmp_path, *numbers, "--corrupt=gaussian")
    for run, found in zip(numbers, made["runs"], strict=True):
        result = RunDirectory(run).result()
        assert found["mae"] == pytest.approx(result["last"]["test_mae"], rel=1e-5)
        assert {name: found[name] for name in ("rmse", "r2", "mae_of_mean")} == pytest.approx(
            result["test"]["last"], rel=1e-5
        )
        assert len(found["corrupted"]["gaussian"]) == 5
    assert "mae with gaussian" in out


def test_outputs_are_averaged_with_those_of_the_mirror_image(bits: list[Path]):
    data = ImageData(load_run(bits[0])[0])
    pixels = data.source.test.pixels
    logits = (outputs_for(bits[0], pixels) + outputs_for(bits[0], pixels[..., ::-1].copy())) / 2
    wrong = (logits.numpy() > 0) != data.source.test.labels
    assert Run(bits[0]).evaluate(flip=True).score == pytest.approx(100 * wrong.mean())


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set with the same images and attributes in another order, and one that lacks some."""

    def reordered(config: DataConfig) -> Source:
        source = DATASETS.load("digit_bits")(config)
        test = Images(source.test.pixels, source.test.labels[:, ::-1].copy())
        return Source(test, test, source.classes[::-1])

    def fewer(config: DataConfig) -> Source:
        source = DATASETS.load("digit_bits")(config)
        return Source(source.test, Images(source.test.pixels, source.test.labels[:, :4].copy()), source.classes[:4])

    info = replace(DATASETS.info("digit_bits"), image_size=8)
    monkeypatch.setitem(DATASETS._entries, "reordered", (reordered, info))
    monkeypatch.setitem(DATASETS._entries, "fewer", (fewer, replace(info, classes=4)))


def test_attributes_of_other_images_are_matched_by_name(bits: list[Path], others: None):
    own, there = Run(bits[0]).evaluate(), Run(bits[0]).evaluate("data=reordered")
    assert there.score == pytest.approx(own.score)
    assert there.details["attribute_errors"] == own.details["attribute_errors"]
    with pytest.raises(
        ConfigError, match="fewer lacks 2 attributes that the network predicts: prime, loop; it has eig"
    ):
        Run(bits[0]).evaluate("data=fewer")


def test_runs_of_different_tasks_are_not_compared(shell: Shell, bits: list[Path], numbers: list[Path]):
    status, _, err = shell("evaluate", bits[0], numbers[0])
    assert (status, err.count("\n")) == (1, 2)  # the first line says which images
    assert "were trained for different tasks, attributes and regression" in err


@pytest.mark.parametrize("kind", ["pt2", "safetensors"])
def test_exported_files_return_probabilities_and_numbers(
    shell: Shell, bits: list[Path], numbers: list[Path], tmp_path: Path, kind: str
):
    for run, what in ((bits[0], "probabilities"), (numbers[0], "numbers")):
        file = tmp_path / f"{what}.{kind}"
        status, out, err = shell("export", run, "--to", kind, "--out", file)
        assert (status, err) == (0, "")
        assert f"; {what} for 32 test images differ by at most" in out
        card = file.with_name(f"{file.name}.md").read_text()
        assert ("Attributes: " in card) == (what == "probabilities")
        assert "Classes: " not in card
        if kind == "pt2":
            pixels = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
            made = torch.export.load(file).module()(pixels)
            config, _ = load_run(run)
            torch.testing.assert_close(made, task_of(config).final(outputs_for(run, pixels.numpy())))
        if kind == "safetensors":
            assert load_run(file)[0].data.label_scale == load_run(run)[0].data.label_scale
