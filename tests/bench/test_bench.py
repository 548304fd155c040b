"""What a measurement counts, and that the command measures and writes."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.composing import config as load_config
from support.lab import TINY
from torch import nn

from resnet_lab.bench import measure
from resnet_lab.bench.__main__ import main
from resnet_lab.bench.measure import EPOCHS, Speed, on_random_images
from resnet_lab.bench.roofs import step_bytes
from resnet_lab.command import exit_status
from resnet_lab.model.resnet import ResNetV2


def test_passes_of_a_small_network():
    """Counted by hand: a convolution 3 → 4 on 8x8 pixels, BatchNorm, ReLU; 4 images, 2 bytes a number."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    image, maps = 3 * 8 * 8, 4 * 8 * 8
    passes = (1 + 2) * image + (1 + 2) * maps + (3 + 5) * maps
    weights = 4 * 3 * 9 + 2 * 4
    assert step_bytes(net, (3, 8, 8), batch_size=4, element=2) == 4 * 2 * passes + 7 * 4 * weights
    assert net.training
    assert next(net.parameters()).device.type == "cpu"


@pytest.mark.parametrize(("experiment", "terabytes"), [("cifar10_basic_56", 0.86), ("cifar10_164", 5.3)])
def test_traffic_of_an_epoch_is_about_what_was_estimated_by_hand(experiment: str, terabytes: float):
    config = load_config(f"+experiment={experiment}")
    moved = step_bytes(ResNetV2(config.model), (3, 32, 32), batch_size=128, element=2)
    assert moved * 50_000 / 128 / 1e12 == pytest.approx(terabytes, rel=0.1)


def test_what_is_measured_is_the_recipe_on_random_images(tmp_path: Path):
    config = load_config("+experiment=cifar10_20", "optim.batch_size=32", "data.root=nowhere")
    measured = on_random_images(config, 7, str(tmp_path))
    assert measured.data.num_images == 7 * 32
    assert measured.data.image_shape == (3, 32, 32)
    assert (measured.optim, measured.model) == (config.optim, config.model)
    assert measured.trainer.max_epochs == 1 + EPOCHS


def test_the_host_takes_what_the_step_leaves():
    measured = Speed(1.0, step_ms=4.0, bare_ms=3.0, native_share=0.0, steps=1, seconds=1, images=1, peak_memory=1)
    assert measured.host_share == pytest.approx(0.25)
    assert dataclasses.replace(measured, bare_ms=4.1).host_share == 0


def test_the_bare_step_is_in_the_precision_of_the_run(monkeypatch: pytest.MonkeyPatch):
    seen = []

    def step(net: torch.nn.Module, *others: object) -> Callable[[torch.Tensor, torch.Tensor], None]:
        return lambda images, labels: seen.append((images.dtype, next(net.parameters()).dtype, images.shape[0]))

    monkeypatch.setattr(measure, "training_step", step)
    for precision, dtype in (("64-true", torch.float64), ("32-true", torch.float32)):
        measure.bare_seconds(load_config(*TINY, f"trainer.precision={precision}"), rounds=1)
        assert set(seen) == {(dtype, dtype, 16)}
        seen.clear()


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_bare_step_runs_the_algorithms_of_the_run(deterministic: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

    def selected() -> tuple[bool, bool]:
        return torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark

    before = selected()
    with measure.bare_step(load_config(*TINY, f"deterministic={str(deterministic).lower()}")):
        assert selected() == (deterministic, not deterministic)
    assert selected() == before


@pytest.mark.slow
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert main([*TINY, "--seconds=0.2", "--jobs=2", "--json=speed.json"]) == 0
    facts = json.loads((tmp_path / "speed.json").read_text())
    assert facts["network"]["depth"] == 14
    assert facts["speed"]["images_per_second"] == pytest.approx(16_000 / facts["speed"]["step_ms"])
    for roof in facts["roofs"].values():
        reached = roof["per_step"] / (facts["speed"]["step_ms"] / 1000) / roof["per_second"]
        assert roof["share"] == pytest.approx(reached)
    assert [job["jobs"] for job in facts["jobs"]] == [2]
    assert facts["jobs"][0]["images_per_second"] > 0
    assert facts["machine"]["torch"] == torch.__version__
    said = capsys.readouterr()
    assert said.err == ""
    assert "2 at once" in said.out
    assert [file.name for file in tmp_path.iterdir()] == ["speed.json"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["units=nope"], "there is no units=nope; units can be: "),
        (["--jobs=0"], "--jobs must be whole numbers above 0, as in 1,2,4, got 0"),
        (["--jobs=two"], "--jobs must be whole numbers above 0, as in 1,2,4, got two"),
        (["--jobs="], "--jobs must be whole numbers above 0, as in 1,2,4, got "),
        (["--seconds=nan"], "--seconds must be a number above 0, got nan"),
        (["--seconds=0"], "--seconds must be a number above 0, got 0"),
        (["--profile", "--jobs=2"], "--profile looks at one step of one job: leave out --jobs and --mps, or --profile"),
        (
            ["--profile", *TINY, "trainer.compile=inductor"],
            "--profile: the profiler does not see what inductor compiles",
        ),
        (["--json=/nowhere/at/all.json"], "--json: there is no folder /nowhere/at"),
    ],
)
def test_mistakes(words: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert exit_status(main, words) == 1
    said = capsys.readouterr().err
    assert said.startswith(message)
    assert said.count("\n") == 1
