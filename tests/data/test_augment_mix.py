"""Mixup and CutMix: images, labels, and what the loss and the training error make of them."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from support.augmenting import applied, only
from support.composing import config as load_config
from torch.nn import functional as F

from resnet_lab.data.augment import Cutmix, Mixup
from resnet_lab.rundir.place import run_directory
from resnet_lab.tasks.base import task_of
from resnet_lab.training.run import run

LABELS = torch.arange(64) % 10


def test_mixup_averages_an_image_and_its_label_with_another_one_of_the_mini_batch() -> None:
    mixup, images = only("mixup", "augment.mixup.alpha=0.4"), torch.randn(64, 3, 32, 32)
    key_B, weight_B = mixup.draw(np.random.default_rng(0), 64)
    mixed, targets = mixup.apply(images, LABELS, key_B, weight_B)
    other_B = key_B.argsort()
    assert sorted(other_B.tolist()) == [*range(64)]
    for image, label, other, weight, got, target in zip(images, LABELS, other_B, weight_B, mixed, targets, strict=True):
        assert torch.allclose(got, weight * image + (1 - weight) * images[other], atol=1e-6)
        expected = torch.zeros(10)
        expected[label] += weight
        expected[LABELS[other]] += 1 - weight
        assert torch.allclose(target, expected, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_mixup_is_that_of_its_definition(smoothing: float) -> None:
    """λ · CE(a) + (1 − λ) · CE(b), with a λ for each image."""
    mixup, logits = only("mixup"), torch.randn(64, 10)
    key_B, weight_B = mixup.draw(np.random.default_rng(1), 64)
    _, targets = mixup.apply(torch.zeros(64, 3, 32, 32), LABELS, key_B, weight_B)
    own, other = (
        F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
        for labels in (LABELS, LABELS[key_B.argsort()])
    )
    loss = task_of(load_config("data=cifar10")).loss(logits, targets, smoothing)
    assert loss == pytest.approx((weight_B * own + (1 - weight_B) * other).mean().item(), abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_weights_of_classes_count_by_their_share_of_the_label(smoothing: float) -> None:
    _, targets = applied(only("cutmix", "augment.cutmix.p=1"), torch.zeros(64, 3, 32, 32), LABELS)
    logits, weights = torch.randn(64, 10), torch.rand(10) + 0.5
    smooth = targets * (1 - smoothing) + smoothing / 10
    loss = task_of(load_config("data=cifar10")).loss(logits, targets, smoothing, weights)
    assert loss == pytest.approx(-(weights * smooth * logits.log_softmax(dim=1)).sum(dim=1).mean().item(), abs=1e-5)


@pytest.mark.parametrize(("alpha", "p"), [(0.2, 1.0), (1.0, 0.3), (8.0, 1.0)])
def test_weights_are_drawn_from_beta_for_the_share_p_of_the_images(alpha: float, p: float) -> None:
    mixup = only("mixup", f"augment.mixup.alpha={alpha}", f"augment.mixup.p={p}")
    assert isinstance(mixup, Mixup)
    _, weight_B = mixup.draw(np.random.default_rng(2), 10_000)
    mixed = weight_B[weight_B < 1].double()
    mixed = mixed if p < 1 else weight_B.double()
    assert stats.binomtest(len(mixed), 10_000, p).pvalue > 1e-3
    assert stats.kstest(mixed, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


@pytest.mark.parametrize("choice", ["mixup", "cutmix"])
def test_on_average_each_label_has_the_weight_that_its_pixels_have(choice: str) -> None:
    """Class 0 is white, class 1 black: the mean of an image is the probability of class 0."""
    labels = torch.arange(5000) % 2
    images = (1.0 - labels)[:, None, None, None].expand(-1, 3, 32, 32)
    p = 1.0 if choice == "mixup" else 0.7
    mixed, targets = applied(only(choice, f"augment.{choice}.p={p}"), images, labels)
    assert torch.allclose(mixed.mean(dim=(1, 2, 3)), targets[:, 0], atol=1e-5)
    assert torch.allclose(targets.sum(dim=1), torch.ones(5000), atol=1e-6)
    assert targets.mean(dim=0)[:2].tolist() == pytest.approx([0.5, 0.5], abs=0.01)
    own = targets[torch.arange(5000), labels].mean().item()
    if choice == "mixup":  # E λ = 1/2, and half of the partners have the same class
        assert own == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("choice", ["mixup", "cutmix"])
def test_attributes_are_mixed_as_classes_are(choice: str) -> None:
    labels, images = torch.arange(50) % 2, torch.rand(50, 3, 32, 32)
    attributes = torch.stack([labels == 0, labels == 1, labels < 2], dim=1).to(torch.uint8)
    _, by_class = applied(only(choice), images, labels)
    _, targets = applied(only(choice), images, attributes)
    assert targets.dtype == torch.float32
    assert torch.equal(targets[:, :2], by_class[:, :2])
    assert torch.equal(targets[:, 2], torch.ones(50))


def test_cutmix_cuts_what_the_code_of_the_paper_cuts() -> None:
    cutmix = only("cutmix", "augment.cutmix.p=1", "data.image_size=[20,30]")
    assert isinstance(cutmix, Cutmix)
    key_B, top_B, bottom_B, left_B, right_B, weight_B = cutmix.draw(np.random.default_rng(0), 4000)
    rng = np.random.default_rng(5)
    weights = []
    for _ in range(4000):  # rand_bbox of clovaai/CutMix-PyTorch, and the correction of λ
        ratio = np.sqrt(1 - rng.beta(1, 1))
        high, wide, y, x = int(20 * ratio), int(30 * ratio), rng.integers(20), rng.integers(30)
        (y_1, y_2), (x_1, x_2) = (
            np.clip([y - high // 2, y + high // 2], 0, 20),
            np.clip([x - wide // 2, x + wide // 2], 0, 30),
        )
        weights.append(1 - (y_2 - y_1) * (x_2 - x_1) / 600)
    assert stats.ks_2samp(weights, weight_B).pvalue > 1e-3
    images = torch.randn(64, 3, 20, 30)
    drawn = [own[:64] for own in (key_B, top_B, bottom_B, left_B, right_B, weight_B)]
    mixed, _ = cutmix.apply(images, LABELS, *drawn)
    for image, other, top, bottom, left, right, weight, got in zip(
        images, drawn[0].argsort(), *drawn[1:], mixed, strict=True
    ):
        expected = image.clone()
        expected[:, top:bottom, left:right] = images[other][:, top:bottom, left:right]
        assert torch.equal(got, expected)
        assert weight == pytest.approx(1 - float((bottom - top) * (right - left)) / 600)


def test_labels_that_are_mixed_twice_keep_their_shares() -> None:
    """Of pictures of one colour for each image: pixels are mixed as labels are."""
    labels = torch.arange(64)
    images = F.one_hot(labels, 64).float()[:, :, None, None].expand(-1, -1, 32, 32)
    shape = ("data=fake", "data.num_classes=64", "augment.mixup.p=1", "augment.cutmix.p=1")
    mixed, targets = applied(only("mixup", *shape), images, labels)
    mixed, targets = applied(only("cutmix", *shape), mixed, targets, seed=1)
    assert torch.allclose(mixed.mean(dim=(2, 3)), targets, atol=1e-5)


def test_the_training_error_is_against_the_heavier_label() -> None:
    task, outputs = task_of(load_config("data=cifar10")), torch.eye(10)[[0, 1, 0, 1]]
    targets = F.pad(torch.tensor([[0.6, 0.4], [0.6, 0.4], [0.3, 0.7], [0.3, 0.7]]), (0, 8))
    assert task.penalty(outputs, targets) == 2
    collected = task.details()
    assert collected is not None
    collected.add(outputs, targets)
    assert collected.scores([str(number) for number in range(10)])["class_errors"] == {"0": 50, "1": 50}


TINY = ("stacks=two", "units=n1", "filters=w8", "optim.batch_size=32", "trainer.max_batches=3", "trainer=cpu",
        "trainer.max_epochs=2", "deterministic=true", "optim.label_smoothing=0.1", "optim.class_weights=balanced",
        "augment=[mixup,cutmix,trivial]", "augment.mixup.p=0.5")  # fmt: skip


@pytest.mark.slow
def test_a_continued_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    from pytorch_lightning import Callback

    from resnet_lab.interrupts import Interrupted

    class Stop(Callback):
        def on_train_epoch_start(self, trainer, module):
            if trainer.current_epoch == 1:
                raise Interrupted(15)

    whole, parts = (load_config(*TINY, f"output_dir={tmp_path / name}") for name in ("whole", "parts"))
    result = run(whole)
    with pytest.raises(Interrupted):
        run(copy.deepcopy(parts), [Stop()])
    assert run(parts)["history"][-1]["train/loss"] == result["history"][-1]["train/loss"]
    one, other = (torch.load(run_directory(c).last, weights_only=True)["state_dict"] for c in (whole, parts))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["64", "bf16"])
def test_mixed_labels_train_in_any_precision(precision: str, tmp_path: Path) -> None:
    result = run(load_config(*TINY, f"trainer.precision={precision}", f"output_dir={tmp_path}"))
    assert np.isfinite(result["history"][-1]["train/loss"])
