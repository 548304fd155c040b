"""Autoencoders of series: what they are trained for, and their use."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from support.composing import config as load_config
from support.lab import FailsAt
from support.series import write_waves

from resnet_lab import Run
from resnet_lab.config.schema import Config
from resnet_lab.data.corrupt import corrupted
from resnet_lab.data.datamodule import ImageData
from resnet_lab.evaluate import main as evaluate
from resnet_lab.export import main as export
from resnet_lab.inspect.__main__ import main as inspect_main
from resnet_lab.interrupts import RunFailed
from resnet_lab.job import callbacks
from resnet_lab.predict import main as predict
from resnet_lab.rundir.place import run_directory
from resnet_lab.tasks.base import task_of
from resnet_lab.tasks.pretrained import identified
from resnet_lab.training.run import run

pytestmark = pytest.mark.slow

TASKS = {
    "reconstruction": ("data.series.scale=training",),
    "vae": ("data.corrupt.kind=mask", "data.corrupt.amount=0.3"),
}
MADE = (
    "data=fake",
    "data.dims=1",
    "data.channels=2",
    "data.image_size=24",
    "task=reconstruction",
    "head=latent_flat",
    "augment=none",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_waves(tmp_path_factory.mktemp("archive"))


def settings(root: Path, outputs: Path, task: str, *changes: str) -> Config:
    data = ("data=ucr", f"data.root={root}", "data.series.name=Waves", "optim.batch_size=8")
    usual = (*data, "stacks=two", "units=n1", "filters=w8", f"output_dir={outputs}")
    return load_config(
        *(f"task={task}", "head=latent_flat", *usual, "trainer.max_epochs=2", "optim=adam"),
        *("diagnostics=full", *TASKS[task], *changes),
    )


def held_out(config: Config) -> np.ndarray:
    """The test part as the network gets it."""
    data = ImageData(config)
    return data.normalise(torch.from_numpy(data.source.test.pixels[data.test_rows])).numpy()


@pytest.fixture(scope="module", params=[pytest.param("reconstruction", marks=pytest.mark.long), "vae"])
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    config = settings(root, tmp_path_factory.mktemp("runs"), request.param)
    run(config, callbacks(config))
    return run_directory(identified(config)[0]).path


def test_it_learns_and_looks_without_failure(finished: Path):
    losses = [record["train/loss"] for record in Run(finished).history]
    assert losses[-1] < losses[0]
    assert "failed" not in (finished / "run.log").read_text()


def test_an_interrupted_run_ends_as_an_uninterrupted_one(root: Path, tmp_path: Path):
    whole = run(settings(root, tmp_path / "whole", "vae", "deterministic=true", "diagnostics=off"))
    parts = settings(root, tmp_path / "parts", "vae", "deterministic=true", "diagnostics=off")
    with pytest.raises(RunFailed):
        run(parts, callbacks=[FailsAt(1)])
    assert run(parts)["last"] == whole["last"]


def test_errors_are_those_of_the_values(finished: Path, root: Path):
    """Without corruption, those of the stored test are the errors of what it returns for the test part."""
    ended, config = Run(finished), Run(finished).config
    series = held_out(config)
    again = ended.decode(ended.encode(root / "Waves_TEST.ts"))
    assert again.shape == series.shape == (20, 2, 24)
    errors = np.square(again - series).mean(axis=(1, 2))
    made = ended.predict(root / "Waves_TEST.ts")
    np.testing.assert_allclose([one.mse for one in made], errors, rtol=1e-5)
    np.testing.assert_allclose(np.stack([one.picture for one in made]), again, atol=1e-5)
    if config.task == "reconstruction":
        assert ended.result["last"]["test_mse"] == pytest.approx(errors.mean(), rel=1e-4)


def test_baselines_are_the_mean_series_and_its_principal_components(root: Path):
    data = ImageData(settings(root, root, "reconstruction"))
    config, rows = data.measured(), (data.train_rows, data.test_rows)
    found = task_of(config).baselines(*(data.source.train.pixels[own] for own in rows))
    each = (data.normalise(torch.from_numpy(data.source.train.pixels[own])).double() for own in rows)
    flat, other = (own.flatten(1).numpy() for own in each)
    pca = PCA(min(config.model.latent_dim, len(flat) - 1)).fit(flat)
    rest = other - pca.inverse_transform(pca.transform(other))
    assert found == pytest.approx(
        {"mean series": np.square(other - flat.mean(axis=0)).mean(), "PCA": np.square(rest).mean()}
    )


@pytest.mark.parametrize("loss", ["mse", "l1"])
def test_losses_are_their_formulas_without_bounds(loss: str):
    config = load_config(*MADE, f"reconstruction.loss={loss}", "data.mean=[1,2]", "data.std=[3,0.5]")
    task, (outputs, targets) = task_of(config), 10 * torch.randn(2, 5, 2, 24)
    difference = outputs - targets  # of normalised values
    expected = difference.square() if loss == "mse" else difference.abs()
    assert task.loss(outputs, targets).item() == pytest.approx(expected.mean().item(), rel=1e-5)
    assert torch.equal(task.final(outputs), outputs)


def test_a_masked_moment_is_0_in_all_channels():
    config = load_config(*MADE, "data.corrupt.kind=mask", "data.corrupt.amount=0.25")
    series = 5 + torch.randn(200, 2, 24)
    changed = corrupted(series, config.data.corrupt, task_of(config).normalise, np.random.default_rng(0))
    masked = changed == 0
    assert torch.equal(masked[:, 0], masked[:, 1])
    assert torch.equal(changed[~masked], series[~masked])
    assert masked.float().mean() == pytest.approx(0.25, abs=0.02)


def test_its_inside_is_drawn_in_words_for_series(finished: Path, tmp_path: Path):
    assert inspect_main([str(finished), "--out", str(tmp_path)]) == 0
    page = (tmp_path / "inspect.html").read_text()
    assert 'class="failed"' not in page
    words = re.sub(r'"data:[^"]*"', "", page.partition("</style>")[2])
    assert not [word for word in ("PSNR", "pixel", " image ") if word in words]


def test_it_is_evaluated_exported_and_applied(
    finished: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert evaluate([str(finished)]) == 0
    assert "mse" in "".join(capsys.readouterr())
    is_vae = Run(finished).config.task == "vae"  # whose encoder alone is another
    for part in ("encoder",) if is_vae else ("whole", "encoder", "decoder"):
        to = str(tmp_path / f"{part}.onnx")
        assert export([str(finished), "--to", "onnx", "--part", part, "--out", to]) == 0
    assert predict([str(finished), str(root / "Waves_TEST.ts"), "--csv", str(tmp_path / "found.csv")]) == 0
    assert (tmp_path / "found.csv").read_text().splitlines()[0] == "file,mse"
