"""Reconstruction and its variational form: losses, scores, what a run stores, what it takes from a classifier."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from support.composing import config as load
from support.lab import FailsAt, Lab, same_weights, without_times
from torch import Tensor

from resnet_lab import load_run
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.decoder import CorruptConfig
from resnet_lab.config.enums import Corruption
from resnet_lab.config.schema import Config
from resnet_lab.data.corrupt import corrupted as corrupted_copies
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.images import Normalisation
from resnet_lab.data.loader import EvalLoader, TrainLoader
from resnet_lab.data.sources import Images
from resnet_lab.data.stores import OnDevice
from resnet_lab.interrupts import RunFailed
from resnet_lab.model.autoencoder import Autoencoder, Coded
from resnet_lab.tasks.base import task_of
from resnet_lab.tasks.reconstruction import Reconstruction, similarity
from resnet_lab.training.step import Totals

SMALL = (
    "task=reconstruction",
    "head=latent_flat",
    "model.head.latent_dim=4",
    "filters=w8",
    "units=n1",
    "optim=autoencoder",
)
MEAN, STD = (0.4, 0.5, 0.2), (0.2, 0.3, 0.25)
NORMAL = [f"data.{name}=[{','.join(map(str, values))}]" for name, values in (("mean", MEAN), ("std", STD))]


def task(*changes: str) -> Reconstruction:
    found = task_of(load("data=fake", "data.image_size=16", *SMALL, *NORMAL, *changes))
    assert isinstance(found, Reconstruction)
    return found


def some_images(seed: int) -> tuple[Tensor, np.ndarray]:
    """Normalised images in float64, and their pixels in 0…1."""
    pixels = np.random.default_rng(seed).random((5, 3, 16, 16))
    shape = (1, 3, 1, 1)
    return torch.from_numpy((pixels - np.reshape(MEAN, shape)) / np.reshape(STD, shape)), pixels


def structural_similarity(x: np.ndarray, y: np.ndarray) -> float:
    """Of two maps, with a Gaussian window of standard deviation 1.5 that ends 5 pixels from its centre."""

    def mean(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, 1.5, mode="mirror", radius=5)

    c1, c2 = 0.01**2, 0.03**2
    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    return float(((2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())


def test_losses_are_of_pixels_in_0_1():
    outputs, found = some_images(0)
    targets, wanted = some_images(1)
    maps = (pixels.reshape(-1, 16, 16) for pixels in (found, wanted))
    expected = {
        "mse": ((found - wanted) ** 2).mean(),
        "l1": np.abs(found - wanted).mean(),
        "ssim": 1 - np.mean([structural_similarity(*both) for both in zip(*maps, strict=True)]),
    }
    for loss, value in expected.items():
        assert task(f"reconstruction.loss={loss}").loss(outputs, targets).item() == pytest.approx(value, rel=1e-6)
    assert task().penalty(outputs, targets).item() == pytest.approx(5 * expected["mse"])
    assert task().score(5 * expected["mse"], 5) == pytest.approx(expected["mse"])


def test_logits_of_pixels():
    outputs, _ = some_images(0)
    targets, wanted = some_images(1)
    made = task("reconstruction.loss=bce")
    pixels = 1 / (1 + np.exp(-outputs.numpy()))
    cross = -(wanted * np.log(pixels) + (1 - wanted) * np.log(1 - pixels)).mean()
    assert made.loss(outputs, targets).item() == pytest.approx(cross, rel=1e-6)
    assert made.penalty(outputs, targets).item() == pytest.approx(5 * ((pixels - wanted) ** 2).mean())
    np.testing.assert_allclose(made.final(outputs).numpy(), pixels, rtol=1e-6)


def test_details_are_means_over_images():
    outputs, found = some_images(0)
    targets, wanted = some_images(1)
    collected = task().details()
    for rows in (slice(0, 2), slice(2, 5)):
        collected.add(outputs[rows], targets[rows])
    scores = collected.scores(())
    errors = ((found - wanted) ** 2).reshape(5, -1).mean(axis=1)
    assert scores["psnr"] == pytest.approx(np.mean(-10 * np.log10(errors)), rel=1e-6)
    entropy = -(wanted * np.log(wanted) + (1 - wanted) * np.log(1 - wanted)).mean()
    cross = -(wanted * np.log(found) + (1 - wanted) * np.log(1 - found)).mean()
    assert scores["excess_bce"] == pytest.approx(cross - entropy, rel=1e-6)
    same = task().details()
    same.add(targets, targets)
    assert same.scores(())["excess_bce"] == pytest.approx(0, abs=1e-9)
    assert same.scores(())["ssim"] == pytest.approx(1)


@pytest.mark.parametrize("side", [1, 2, 3, 5, 6, 9])
def test_similarity_of_small_images(side: int):
    x = torch.rand(2, 1, side, side)
    torch.testing.assert_close(similarity(x, x), torch.ones(2))
    assert (similarity(x, 1 - x) < 1).all()


def test_a_variational_loss_is_the_reconstruction_plus_beta_kl_in_sum_units():
    outputs, found = some_images(0)
    targets, wanted = some_images(1)
    rng = np.random.default_rng(2)
    mean, log_variance = rng.normal(size=(2, 5, 4))
    coded = Coded(outputs, *map(torch.from_numpy, (mean, log_variance)))
    kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1).mean()
    squares = ((found - wanted) ** 2).sum(axis=(1, 2, 3)).mean()
    vae = task("task=vae", "vae.beta=3.0")
    assert vae.loss(coded, targets).item() == pytest.approx((squares + 3 * kl) / (3 * 16 * 16), rel=1e-6)
    assert vae.penalty(coded, targets).item() == pytest.approx(task().penalty(outputs, targets).item())
    collected = vae.details()
    for rows in (slice(0, 1), slice(1, 5)):
        collected.add(Coded(*(part[rows] for part in coded)), targets[rows])
    scores = collected.scores(())
    assert scores["kl"] == pytest.approx(kl, rel=1e-6)
    assert scores["elbo"] == pytest.approx(-(squares + kl), rel=1e-6)
    assert scores["active_units"] == 4
    still = vae.details()
    constant = torch.zeros(5, 4)
    constant[:, 1] = torch.linspace(0, 1, 5)
    still.add(Coded(outputs, constant, constant), targets)
    assert still.scores(())["active_units"] == 1


def test_samples_are_drawn_in_training_only():
    torch.manual_seed(0)
    net = task("task=vae").network()
    images = torch.randn(4, 3, 16, 16)
    assert torch.equal(net.eval()(images).images, net(images).images)
    assert torch.equal(net(images).images, net.decode(net.encode(images)))
    net.log_variance.bias.data.fill_(2.0)
    assert not torch.equal(net.train()(images).images, net(images).images)
    with torch.no_grad():
        drawn = torch.stack([net(images).mean + 0 for _ in range(2)])
    assert drawn[0].equal(drawn[1])


@pytest.mark.parametrize("name", ["reconstruction", "vae"])
def test_steps_never_look_at_values(name: str):
    """On the `meta` device there are none, as there are none while a CUDA graph is recorded."""
    made, device = task(f"task={name}", "reconstruction.loss=ssim"), torch.device("meta")
    with device:
        images = torch.empty(8, 3, 16, 16)
        outputs = made.network()(images)
        targets = made.targets(images, torch.empty(8, dtype=torch.long))
        loss = made.loss(outputs, targets)
        loss.backward()
        Totals(made, device).add(loss, outputs, targets)


def corrupted(*changes: str) -> tuple[Config, ImageData, OnDevice]:
    config = load("data=digits", *SMALL, "augment=none", *changes)
    data = ImageData(config)
    return config, data, OnDevice(Images(data.source.train.pixels, data.source.train.labels), torch.device("cpu"))


def test_corrupted_images_and_their_originals():
    config, data, images = corrupted("data.corrupt.kind=gaussian", "data.corrupt.amount=0.1")
    loader = TrainLoader(images, data.train_rows, data.normalise, config, steps_per_call=1)
    noisy, clean = next(iter(loader))
    pixels = [data.normalise.to_shares(part) for part in (noisy, clean)]
    assert all(part.min() > -1e-6 and part.max() < 1 + 1e-6 for part in pixels)
    inner = (pixels[1] > 0.4) & (pixels[1] < 0.6)
    assert (pixels[0] - pixels[1])[inner].std().item() == pytest.approx(0.1, rel=0.1)
    assert torch.equal(task_of(config).targets(noisy, clean), clean)
    again, _ = next(iter(loader))
    assert torch.equal(again, noisy)
    loader.set_epoch(1)
    assert not torch.equal(next(iter(loader))[0], noisy)


def test_a_mask_makes_a_share_of_the_pixels_black():
    config, data, images = corrupted("data.corrupt.kind=mask", "data.corrupt.amount=0.3")
    masked, clean = (
        torch.cat(parts)
        for parts in zip(*EvalLoader(images, data.validation_rows, data.normalise, config), strict=True)
    )
    dark, lit = data.normalise.to_shares(masked) < 1e-6, data.normalise.to_shares(clean) > 1e-6
    assert (dark & lit).sum().item() / lit.sum().item() == pytest.approx(0.3, abs=0.02)
    torch.testing.assert_close(masked[~dark], clean[~dark])


def test_corruption_does_not_depend_on_how_images_are_batched():
    found = []
    for changes in (("trainer.eval_batch_size=7",), ("trainer.eval_batch_size=100",)):
        config, data, images = corrupted("data.corrupt.kind=gaussian", *changes)
        found.append(
            torch.cat([noisy for noisy, _ in EvalLoader(images, data.validation_rows, data.normalise, config)])
        )
    assert torch.equal(*found)
    config, data, images = corrupted("data.corrupt.kind=gaussian")
    epochs = [
        torch.cat([noisy for noisy, _ in TrainLoader(images, data.train_rows, data.normalise, config, steps)])
        for steps in (1, 5)
    ]
    assert torch.equal(*epochs)


@pytest.mark.parametrize(("channels", "colours"), [(1, 1), (2, 1), (3, 3), (4, 3)])
@pytest.mark.parametrize("kind", [Corruption.gaussian, Corruption.mask])
def test_an_alpha_channel_is_not_corrupted(kind: Corruption, channels: int, colours: int):
    images = torch.from_numpy(np.random.default_rng(0).random((2, channels, 9, 8), dtype=np.float32))
    normalise = Normalisation((0.0,) * channels, (1.0,) * channels)
    made = corrupted_copies(images, CorruptConfig(kind=kind, amount=0.3), normalise, np.random.default_rng(1))
    changed = (made != images).any(dim=0).any(dim=(1, 2))
    assert changed.tolist() == [True] * colours + [False] * (channels - colours)


def test_a_classifier_is_not_given_corrupted_images():
    with pytest.raises(ConfigError, match=r"data\.corrupt\.kind needs a task that returns images.*got task=classif"):
        load("data.corrupt.kind=mask")


class TestRuns:
    """What runs store, with a network that takes a second."""

    @pytest.mark.slow
    @pytest.mark.parametrize("changes", [(), ("task=vae",), ("data.corrupt.kind=gaussian", "reconstruction.loss=bce")])
    def test_an_interrupted_run_continues_to_the_same_numbers(self, tmp_path: Path, changes: tuple[str, ...]):
        whole, stopped = Lab(tmp_path / "whole"), Lab(tmp_path / "stopped")
        result = whole.run(*SMALL, *changes)
        with pytest.raises(RunFailed):
            stopped.run(*SMALL, *changes, callbacks=[FailsAt(1)])
        assert without_times(stopped.run(*SMALL, *changes)) == without_times(result)
        assert same_weights(stopped.checkpoint(*SMALL, *changes), whole.checkpoint(*SMALL, *changes))

    @pytest.mark.slow
    def test_the_stored_score_is_that_of_the_stored_network(self, tmp_path: Path):
        lab = Lab(tmp_path)
        result = lab.run(*SMALL)
        config, net = load_run(lab.directory(*SMALL).path)
        assert isinstance(net, Autoencoder)
        data = ImageData(config)
        normalise = Normalisation(tuple(config.data.mean or ()), tuple(config.data.std or ()))
        with torch.no_grad():
            found = normalise.to_shares(net(normalise(torch.from_numpy(data.source.test.pixels))))
        errors = (found - torch.from_numpy(data.source.test.pixels) / 255).square()
        assert result["last"]["test_mse"] == pytest.approx(errors.mean().item(), rel=1e-4)
        assert result["test"]["last"]["baselines"].keys() == {"mean image", "PCA"}
        mean = data.source.train.pixels[data.train_rows].mean(axis=0)
        of_mean = np.square(data.source.test.pixels / 255 - mean / 255).mean()
        assert result["test"]["last"]["baselines"]["mean image"] == pytest.approx(of_mean)

    @pytest.mark.slow
    @pytest.mark.parametrize("head", ["latent_flat", "latent_map", "linear"])
    def test_encoders_come_from_classifiers_and_go_back(self, tmp_path: Path, head: str):
        lab = Lab(tmp_path)
        same = (f"head={head}", "filters=w8", "units=n1", "trainer.max_epochs=1", "optim.lr=0", "optim.weight_decay=0")
        lab.run(*same)
        first = lab.directory(*same)
        coding = ("task=reconstruction", *same, f"pretrained.run={first.path}")
        lab.run(*coding)
        assert encoder(lab, *coding) == encoder(lab, *same)
        back = (*same, f"pretrained.run={lab.directory(*coding).path}", "seed=1")
        lab.run(*back)
        assert encoder(lab, *back) == encoder(lab, *same)

    @pytest.mark.slow
    def test_a_layer_that_gives_pixels_is_not_taken_for_logits(self, tmp_path: Path):
        lab, own = Lab(tmp_path), ("task=reconstruction", *SMALL, "trainer.max_epochs=1")
        lab.run(*own, "reconstruction.loss=bce")
        start = f"pretrained.run={lab.directory(*own, 'reconstruction.loss=bce').path}"
        taken = [
            lab.run(*own, f"reconstruction.loss={loss}", start, "seed=1")["pretrained"]["new"]
            for loss in ("bce", "mse")
        ]
        assert taken == [[], ["decoder.exit.conv"]]


def encoder(lab: Lab, *changes: str) -> dict[str, Any]:
    """The trained numbers of an encoder, without statistics, which a run changes even with a rate of 0."""
    state = lab.checkpoint(*changes)["state_dict"]
    outside = ("decoder", "classifier", "running", "num_batches")
    return {name: tensor.tolist() for name, tensor in state.items() if not any(word in name for word in outside)}


def linear_autoencoder() -> ImageData:
    config = load(
        "data=digits", "stacks=one", "units=n1", "filters=w4", "unit=basic", "bottleneck=none", "model.stem.filters=4",
        "model.nonlinearity=none", "norm=none", "task=reconstruction", "head=latent_flat",
        "model.head.latent_dim=3", "augment=none", "data.validation=0",
    )  # fmt: skip
    return ImageData(config)


@pytest.mark.slow
def test_a_linear_autoencoder_reaches_the_error_of_pca():
    """Without ReLU and BatchNorm, what is left is a linear map of rank 3; PCA is the best of these."""
    data = linear_autoencoder()
    made = task_of(data.measured())
    torch.manual_seed(0)
    net = made.network()
    pixels = data.source.train.pixels[:128]
    images = data.normalise(torch.from_numpy(pixels))
    x = torch.randn(2, *images.shape[1:])
    torch.testing.assert_close(net(x[:1] + x[1:]) + net(0 * x[:1]), net(x[:1]) + net(x[1:]), atol=1e-4, rtol=1e-4)
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=200, history_size=30, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = 1000 * made.loss(net(images), images)
        loss.backward()
        return loss

    optimizer.step(closure)
    best = made.baselines(pixels, pixels)["PCA"]
    reached = made.loss(net(images), images).item()
    assert math.isclose(reached, best, rel_tol=0.02)
    assert reached > best * (1 - 1e-4)
