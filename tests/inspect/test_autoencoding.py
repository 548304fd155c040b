"""The parts of `inspect` for autoencoders, with networks that were trained for seconds."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.composing import config
from support.lab import Lab, events
from support.scene import state

from resnet_lab import load_run
from resnet_lab.command import exit_status
from resnet_lab.config.checks import ConfigError
from resnet_lab.data.datamodule import ImageData
from resnet_lab.inspect.__main__ import main
from resnet_lab.inspect.autoencoding import as_pictures, decoded, encoded, inputs, originals, reconstructed
from resnet_lab.inspect.context import Choices, context
from resnet_lab.inspect.flow import flow
from resnet_lab.inspect.normal import Normal
from resnet_lab.inspect.replica import layer_names, parts, sections, stages
from resnet_lab.inspect.show_decoded import reconstruction_figure
from resnet_lab.inspect.show_samples import axis_rows, direction_rows, drawn_rows, line_rows
from resnet_lab.job import callbacks
from resnet_lab.model.autoencoder import Autoencoder
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.rundir.place import run_directory
from resnet_lab.tasks.base import Task, task_of
from resnet_lab.training.run import run

TINY = ("stacks=two", "units=n1", "filters=w16", "bottleneck=half", "trainer=cpu", "optim=adam", "optim.lr=0.01")
TASKS = ("task=reconstruction", "task=vae")
LATENTS = ("head=latent", "head=latent_flat", "head=latent_map")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an autoencoder of digits with 16 latent components."""
    made = config(
        *TINY,
        "task=reconstruction",
        "head=latent_flat",
        "model.head.latent_dim=16",
        "trainer.max_epochs=10",
        f"output_dir={tmp_path_factory.mktemp('autoencoder')}",
    )
    run(made)
    return run_directory(made).path


def untrained(*overrides: str) -> tuple[Task, ResNetV2]:
    task = task_of(config(*TINY, *overrides))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return task, task.network().eval()


def some_images() -> torch.Tensor:
    return torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("latent", LATENTS)
def test_decoding_the_latent_vectors_of_images_reconstructs_them(kind: str, latent: str):
    task, net = untrained(kind, latent, "model.head.latent_dim=3")
    before, images = state(net.train()), some_images()
    found = encoded(net, images)
    shape = found.shape[1:]
    assert shape == ((3, 4, 4) if latent == "head=latent_map" else (3,))
    own = reconstructed(net, task, images)
    assert own.shape == images.shape
    np.testing.assert_allclose(decoded(net, task, found.reshape(5, -1), shape), own, rtol=1e-5, atol=1e-6)
    assert isinstance(net, Autoencoder)
    expected = net.eval().decode(net.encode(images))
    np.testing.assert_allclose(own, task.pixels(expected).detach(), rtol=1e-5, atol=1e-6)  # type: ignore[attr-defined]
    assert state(net.train()) == before


def test_the_pixels_of_originals_are_those_of_the_data(trained: Path):
    made, _ = load_run(trained)
    data = ImageData(made)
    pixels = data.source.test.pixels[:7]
    found = originals(task_of(made), data.normalise(torch.from_numpy(pixels)))
    np.testing.assert_allclose(found, pixels / 255, atol=1e-6)
    assert as_pictures(found).shape == (7, 8, 8, 1)
    assert as_pictures(np.full((1, 4, 2, 3), 2.0)).tolist() == np.ones((1, 2, 3, 3)).tolist()


def test_corrupted_images_are_shown_with_the_originals():
    task, net = untrained("task=reconstruction", "head=latent", "data.corrupt.kind=gaussian", "data.corrupt.amount=0.3")
    images = 0.1 * some_images()
    given = inputs(task, images)
    assert torch.equal(given, inputs(task, images))
    clean, noisy = originals(task, images), originals(task, given)
    assert 0.1 < (noisy - clean).std() < 0.3  # pixels are clipped to 0…1
    names = ["a"] * 5
    figure = reconstruction_figure(clean, noisy, {"net": reconstructed(net, task, given)}, names, "title")
    labels = [ax.get_ylabel() for ax in figure.axes[::5]]
    assert labels == ["original", "corrupted", "reconstruction", "difference"]
    np.testing.assert_allclose(figure.axes[5].images[0].get_array(), noisy[0, 0].clip(0, 1))
    assert inputs(task_of(config(*TINY, "task=reconstruction")), images) is images
    figure = reconstruction_figure(clean, clean, {"one": noisy, "other": clean}, names, "title")
    differences = figure.axes[10].images[0], figure.axes[20].images[0]
    np.testing.assert_allclose(differences[0].get_array(), (noisy - clean)[0, 0])
    assert differences[0].get_clim() == differences[1].get_clim()


@pytest.mark.parametrize("kind", [*TASKS, "bridges=stack"])
def test_the_parts_of_an_autoencoder_have_its_weights_and_the_names_of_its_tensors(kind: str):
    _, net = untrained("task=reconstruction", "head=latent_flat", kind)
    for found in (parts(net), sections(net)):
        own = [parameter for part in found.values() for parameter in part.parameters()]
        left = {name.split(".")[0] for name, p in net.named_parameters() if not any(p is other for other in own)}
        assert left <= {"log_variance"}
        assert len({id(parameter) for parameter in own}) == len(own)
    maps = [name for name, tensor in net.steps(some_images()) if tensor.ndim == 4]
    assert maps == [*layer_names(net), "outputs"]
    assert set(stages(net)) == {name for name in layer_names(net) if ".units." not in name}


@pytest.mark.parametrize("kind", TASKS)
def test_flow_passes_through_the_decoder(kind: str):
    task, net = untrained(kind, "head=latent_flat")
    found = flow(net, task, some_images(), torch.zeros(5, dtype=torch.long))
    assert found.names[:2] == ("stem", "stacks.0.units.0")
    assert found.names[-2:] == ("decoder.stacks.1.units.0", "decoder.exit")
    assert (found.gradient > 0).all()
    units = [".units." in name for name in found.names]
    assert (np.isfinite(found.share) == units).all()


def test_rows_of_samples():
    latent = np.random.default_rng(0).normal(size=(50, 8)) * np.arange(8, 0, -1)
    normal = Normal.of(latent)
    drawn = drawn_rows(normal, seed=0)
    assert list(drawn) == ["inside 95 %", "on the border", "2 × as far", "4 × as far", "standard\nnormal"]
    distance = [normal.distances(row).max() for row in drawn.values()]
    assert distance[0] < distance[1]
    assert distance[3] == pytest.approx(4 * distance[1])
    axes = axis_rows(normal)
    assert len(axes) == 6
    for row in axes.values():
        np.testing.assert_allclose(row[3], normal.mean)
    lines = line_rows(latent[:5], ["a", "b", "c", "d", "e"])
    assert list(lines) == ["a\n→ b", "c\n→ d"]
    np.testing.assert_allclose(lines["c\n→ d"][[0, -1]], latent[2:4])
    assert line_rows(latent[:1], ["a"]) == {}
    groups = {"first": np.arange(10), "all": np.arange(50), "last": np.arange(40, 50)}
    directions = direction_rows(latent, groups)
    assert list(directions) == ["→ first", "→ last"]
    np.testing.assert_allclose(directions["→ first"][0], latent[10])  # the first image that is not in the group


@pytest.mark.slow
def test_the_page_of_an_autoencoder(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    own = ["reconstructions", "spectrum", "latent", "samples"]
    assert main([str(trained), *own, "--pairs", "0,3", "--out", str(tmp_path)]) == 0
    parts_made = re.findall(r"^(\w+) +\d+\.\d s", capsys.readouterr().err, re.MULTILINE)
    assert parts_made == own
    names = {file.stem for file in (tmp_path / "figures").iterdir()}
    assert {"reconstructions", "worst-reconstructions", "spectrum"} <= names
    latent = {"components", "moments", "distances", "correlations", "ellipses", "map"}
    assert {f"latent-{name}" for name in latent} <= names
    assert {"samples", "samples-axes", "samples-between", "samples-directions"} <= names
    for file in (tmp_path / "figures").iterdir():
        with Image.open(file) as picture:
            assert np.asarray(picture.convert("L")).std() > 5  # something is drawn
    page = (tmp_path / "inspect.html").read_text()
    assert len(re.findall(r"<img ", page)) == len(names)
    assert "of 16 vary by more than 0.1" in page
    assert "Pairs of components, and the principal axes." in page


@pytest.mark.parametrize("text", ["3", "2,2", "0,1,2", "0,", "0,-1", "0,999999999"])
def test_what_names_no_pair_of_components(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str):
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path), "latent", "--pairs", "0,1", text])
    assert f"argument --pairs: {text} does not name two components, as 0,3 does" in capsys.readouterr().err


def test_components_that_do_not_exist(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert exit_status(main, [str(trained), "latent", "--pairs", "0,16", "--out", str(tmp_path)]) == 1
    assert "--pairs: there is no component 16; there are 16, numbered from 0" in capsys.readouterr().err
    assert not (tmp_path / "inspect.html").exists()


def test_a_classifier_has_no_latent_components(finished: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = finished.directory().path
    assert exit_status(main, [str(path), "filters", "--pairs", "0,1", "--out", str(tmp_path)]) == 1
    assert "--pairs: a network of task=classification has no latent components" in capsys.readouterr().err


def test_networks_that_cannot_be_compared(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    _, larger = untrained(
        "task=reconstruction", "head=latent_flat", "data=fake", "data.channels=1", "data.image_size=16"
    )
    with pytest.raises(ConfigError, match="--compare: larger returns images of a different size"):
        context(*load_run(trained), Choices(), [("larger", larger)], iter)
    logits = config(
        *TINY,
        "task=reconstruction",
        "reconstruction.loss=bce",
        "head=latent_flat",
        "trainer.max_epochs=1",
        "trainer.max_batches=2",
        f"output_dir={tmp_path}",
    )
    run(logits)
    assert exit_status(main, [str(trained), "--compare", str(run_directory(logits).path), "--out", str(tmp_path)]) == 1
    told = "networks with reconstruction.loss=mse and reconstruction.loss=bce do not return the same kind of pixels"
    assert told in capsys.readouterr().err


@pytest.mark.slow
def test_image_files_and_one_component(tmp_path: Path):
    made = config(
        *TINY, "task=vae", "head=latent", "model.head.latent_dim=1", "trainer.max_epochs=1", f"output_dir={tmp_path}"
    )
    run(made)
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8), dtype=np.uint8)).save(photo)
    path = run_directory(made).path
    seen = context(*load_run(path), Choices(images=("3", str(photo))), [], iter)
    assert seen.chosen_names[1] == "photo.png"
    assert main([str(path), "reconstructions", "latent", "samples", "--images", "3", str(photo)]) == 0


@pytest.mark.slow
def test_full_diagnostics(lab: Lab):
    changes = ("task=vae", "head=latent_map", "model.head.latent_dim=2", "diagnostics=full", "trainer.max_epochs=1")
    lab.run(*changes, callbacks=callbacks(lab.config(*changes)))
    directory = lab.directory(*changes)
    assert "failed" not in directory.log_file.read_text()
    images = events(directory.path).Tags()["images"]
    assert {"pictures/reconstructions", "pictures/spectrum", "pictures/latent"} <= set(images)
    assert "pictures/confusion" not in images
    assert len(list(directory.path.glob("*/latent/metadata.tsv"))) == 1
