"""What autoencoders make of files: pictures, latent vectors, and exported halves."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from least import Shell
from PIL import Image
from support.lab import Lab

from resnet_lab import Run
from resnet_lab.config.checks import ConfigError
from resnet_lab.data.datamodule import ImageData
from resnet_lab.model.autoencoder import Autoencoder
from resnet_lab.report.__main__ import main as report

SMALL = (
    "head=latent_flat",
    "model.head.latent_dim=3",
    "filters=w8",
    "units=n1",
    "optim=autoencoder",
    "trainer.max_epochs=1",
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("autoencoders"))


def trained(lab: Lab, *changes: str) -> Path:
    lab.run(*SMALL, *changes)
    return lab.directory(*SMALL, *changes).path


@pytest.fixture(scope="module", params=["reconstruction", "vae"])
def run(lab: Lab, request: pytest.FixtureRequest) -> Run:
    return Run(trained(lab, f"task={request.param}"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures of the size of the network's input."""
    folder = tmp_path_factory.mktemp("photos")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    for name, image in zip("abc", pixels, strict=True):
        Image.fromarray(image).save(folder / f"{name}.png")
    return folder


def pixels_of(folder: Path) -> np.ndarray:
    """The pictures of a folder (N, C, H, W)."""
    return np.stack([np.asarray(Image.open(file)).transpose(2, 0, 1) for file in sorted(folder.glob("*.png"))])


def test_pictures_and_their_errors(run: Run, photos: Path, shell: Shell, tmp_path: Path):
    status, _, _ = shell("predict", run.path, photos, "--save-into", tmp_path / "back", "--json", tmp_path / "out.json")
    assert status == 0
    found = json.loads((tmp_path / "out.json").read_text())
    wanted, back = pixels_of(photos) / 255, pixels_of(tmp_path / "back") / 255
    np.testing.assert_allclose(back, run.decode(run.encode(photos)), atol=0.5 / 255 + 1e-6)
    errors = ((run.decode(run.encode(photos)) - wanted) ** 2).mean(axis=(1, 2, 3))
    assert [entry["mse"] for entry in found] == pytest.approx(errors.tolist(), rel=1e-4)
    assert [entry["psnr"] for entry in found] == pytest.approx((-10 * np.log10(errors)).tolist(), rel=1e-4)
    assert [one.mse for one in run.predict(photos)] == pytest.approx(errors.tolist(), rel=1e-4)
    shell("predict", run.path, photos, "--save-into", tmp_path / "back")
    assert sorted(file.name for file in (tmp_path / "back").iterdir())[:2] == ["a-2.png", "a.png"]


def test_latent_vectors(run: Run, photos: Path):
    latent = run.encode(photos)
    assert latent.shape == (3, 3)
    np.testing.assert_allclose(run.encode(photos / "b.png", batch_size=1)[0], latent[1], rtol=1e-4, atol=1e-5)
    assert isinstance(run.net, Autoencoder)
    images = ImageData(run.config).normalise(torch.from_numpy(pixels_of(photos)))
    with torch.no_grad():
        np.testing.assert_allclose(run.net.encode(images).numpy(), latent, rtol=1e-3, atol=1e-4)
    pictures = run.decode(np.zeros((2, 3)))
    assert pictures.shape == (2, 3, 8, 8)
    assert 0 <= pictures.min() <= pictures.max() <= 1
    assert np.array_equal(pictures[0], pictures[1])
    for wrong, message in (
        (np.zeros((2, 4)), r"latent must have the shape \(N, 3\), got \(2, 4\)"),
        (np.zeros(3), r"latent must have the shape \(N, 3\), got \(3,\)"),
        ([[0, np.nan, 0]], "latent must be finite numbers"),
        ("photo", "latent must be an array of numbers, got 'photo'"),
    ):
        with pytest.raises(ConfigError, match=message):
            run.decode(wrong)


def test_evaluation_repeats_the_run_s_own_test(lab: Lab, run: Run):
    assert run.evaluate().score == pytest.approx(run.result["last"]["test_mse"], rel=1e-5)
    assert run.evaluate().details["psnr"] == pytest.approx(run.result["test"]["last"]["psnr"], rel=1e-5)
    noisy = Run(trained(lab, "task=reconstruction", "data.corrupt.kind=gaussian"))
    assert noisy.evaluate().score == pytest.approx(noisy.result["last"]["test_mse"], rel=1e-5)


def test_masked_pixels_make_reconstructions_of_the_originals_worse(lab: Lab):
    made = Run(trained(lab, "task=reconstruction", "trainer.max_epochs=40", "data.num_images=32"))
    clean, masked = made.evaluate(corrupt=["mask"]).score, made.evaluate(corrupt=["mask"]).corrupted["mask"]
    assert masked[-1] > clean


@pytest.mark.parametrize(("part", "kind"), [("whole", "pt2"), ("encoder", "pt2"), ("decoder", "onnx")])
def test_halves_are_exported_with_a_card(run: Run, photos: Path, shell: Shell, part: str, kind: str):
    status, out, err = shell("export", run.path, "--to", kind, "--part", part)
    assert status == 0, err
    file = run.path / f"{'network' if part == 'whole' else part}.{kind}"
    assert str(file) in out
    pixels, latent = pixels_of(photos), run.encode(photos)
    if kind == "onnx":
        [found] = onnxruntime.InferenceSession(file).run(None, {"latent": latent})
    else:
        found = torch.export.load(file).module()(torch.from_numpy(pixels)).numpy()
    expected = latent if part == "encoder" else run.decode(latent)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert ("vectors of 3 numbers" in file.with_name(f"{file.name}.md").read_text()) == (part != "whole")


def test_the_card_of_an_encoder_to_maps(lab: Lab, shell: Shell):
    maps = trained(lab, "task=reconstruction", "head=latent_map", "model.head.latent_dim=3")
    assert shell("export", maps, "--to", "pt2", "--part", "encoder")[0] == 0
    assert "**Output:** 3 maps of 4 × 4 numbers" in (maps / "encoder.pt2.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("predict", "photos", "--top", "3"), "--top: {run} was trained for task=reconstruction, whose"),
        (("predict", "photos", "--calibrate"), "--calibrate: {run} was trained for task=reconstruction"),
        (("evaluate", "--flip"), "--flip averages predictions of an image and its mirror image, but task="),
        (("export", "--to", "safetensors", "--part", "encoder"), "--part encoder: safetensors holds whole networks"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(lab: Lab, shell: Shell, photos: Path, words: tuple[str, ...], message: str):
    path = trained(lab, "task=reconstruction")
    verb, *others = words
    status, _, err = shell(verb, path, *(photos if word == "photos" else word for word in others))
    assert status == 1
    assert message.format(run=path) in err
    assert len(err.strip().splitlines()) == 1


def test_a_classifier_has_no_halves(lab: Lab, shell: Shell, photos: Path):
    path = trained(lab, "task=classification")
    assert shell("export", path, "--to", "pt2", "--part", "decoder")[2].startswith(
        "--part decoder: task=classification"
    )
    assert "returns no images to save" in shell("predict", path, photos, "--save-into", photos.parent / "back")[2]
    with pytest.raises(ConfigError, match="task=classification has no latent space to encode to"):
        Run(path).encode(photos)


def test_a_report_keeps_tasks_apart_and_shows_baselines(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lab = Lab(tmp_path)
    for changes in ((), ("decoder=plain",)):
        for seed in (0, 1):
            trained(lab, "task=reconstruction", *changes, f"seed={seed}")
    trained(lab, "task=classification")
    assert report([str(tmp_path)]) == 0
    text = (tmp_path / "report" / "report.md").read_text()
    assert text.count("validation mse, last") >= 1
    assert "baselines" in text or "PCA" in text
    groups = [line for line in text.splitlines() if "decoder" in line]
    assert groups
    assert not any("decoder.filters" in line for line in groups)
