"""Checks before a number counts: all get the same input, and the lab learns what the bare loop learns."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import chisquare
from torch import Tensor

from benchmarks.implementations import Observer, Trained, implementation, roof
from benchmarks.task import Task
from resnet_lab.config.compose import load_config
from resnet_lab.data.images import Normalisation
from resnet_lab.data.loader import TrainLoader
from resnet_lab.data.sources import Images
from resnet_lab.data.stores import OnDevice

# 100 steps over 4 epochs, in which the learning rate changes twice.
TINY = ("stacks=two", "units=n2", "filters=w16", "data.image_size=8", "optim=sgd", "optim.batch_size=16")
STEPS, EPOCHS = 25, 4


class Tolerance(NamedTuple):
    """Largest allowed differences from the bare loop: relative for losses, by norm for tensors at the end."""

    first: float  # for the losses of the first FIRST steps
    loss: float
    weights: float
    momentum: float


# A CPU repeats the bare loop exactly. With another memory layout, sums are taken in another order: the first steps
# agree up to rounding in float32, then the difference grows, on an Intel Xeon to 0.0011, 0.0058 and 0.16 in 100 steps.
# bf16 has 8 binary digits, and a GPU chooses its algorithms: on a CPU, the bare loops in bf16 and fp32 differ by 0.019,
# 0.12 and 0.52, so two loops in bf16 may differ that much, too.
EXACT = Tolerance(0, 0, 0, 0)
REORDERED = Tolerance(1e-5, 0.01, 0.05, 0.5)
BF16 = Tolerance(0.05, 0.05, 0.25, 1.0)
FIRST = 20


class Trajectory(Observer):
    """Records every mini-batch and every loss."""

    def __init__(self) -> None:
        self.images: list[Tensor] = []
        self.labels: list[Tensor] = []
        self.losses: list[Tensor] = []

    def step(self, images_BCHW: Tensor, labels_B: Tensor, loss: Tensor) -> None:
        """Clone all tensors: a CUDA graph overwrites their memory."""
        self.images.append(images_BCHW.detach().clone(memory_format=torch.contiguous_format))
        self.labels.append(labels_B.clone())
        self.losses.append(loss.detach().clone())


Seen = tuple[Trajectory, Trained]


def follow(name: str, overrides: Sequence[str], device: torch.device, eager: bool = False) -> Seen:
    """Record 100 training steps of an implementation; with `eager`, of the bare loop without a CUDA graph."""
    module, more = implementation(name)
    repeatable = "deterministic=true" if device.type == "cpu" else "deterministic=false"
    task, trajectory = Task([*overrides, repeatable, *more], STEPS, EPOCHS, device), Trajectory()
    if eager:
        return trajectory, roof.train(task, trajectory, graphs=False)
    return trajectory, module.train(task, trajectory)


def same_batches(name: str, seen: Seen, bare: Seen) -> dict[str, Any]:
    """Compare the images, in order and after augmentation; the tolerance of 1e-5 is for a GPU's division."""
    pairs = list(zip(seen[0].images, bare[0].images, strict=True))
    off = max((one.cpu() - other.cpu()).abs().max().item() for one, other in pairs)
    labels = all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(seen[0].labels, bare[0].labels, strict=True))
    return check(f"{name} gets the same {len(pairs)} mini-batches", labels and off <= 1e-5, off)


def same_losses(name: str, seen: Seen, bare: Seen, tolerance: Tolerance) -> dict[str, Any]:
    """Compare the losses of all steps."""
    losses, expected = (torch.stack(of[0].losses).double().cpu() for of in (seen, bare))
    off = (losses.float() - expected.float()).abs() / expected.float()
    near = bool((off[:FIRST] <= tolerance.first).all() and (off <= tolerance.loss).all())
    within = f"{tolerance.first:g} in the first {FIRST} steps, {tolerance.loss:g} in all"
    return check(f"{name} has the bare loop's {len(losses)} losses, within {within}", near, off.max().item())


def same_state(name: str, seen: Seen, bare: Seen, tolerance: Tolerance) -> list[dict[str, Any]]:
    """Compare weights with BatchNorm statistics, momentum buffers, learning rate and steps at the end."""
    trained, expected = seen[1], bare[1]
    if trained.weights.keys() != expected.weights.keys():
        return [check(f"{name} has the bare loop's tensors", False, math.inf)]
    pairs = [(trained.weights[tensor], expected.weights[tensor]) for tensor in expected.weights]
    weights = distance(*zip(*(pair for pair in pairs if pair[1].is_floating_point()), strict=True))
    counts = all(one.item() == other.item() for one, other in pairs if not other.is_floating_point())  # of batches
    momentum = distance(trained.momentum, expected.momentum)
    rates = abs(float(trained.lr) - expected.lr) / expected.lr
    return [
        check(
            f"{name} has its weights and statistics, within {tolerance.weights:g}",
            counts and weights <= tolerance.weights,
            weights,
        ),
        check(f"{name} has its momentum, within {tolerance.momentum:g}", momentum <= tolerance.momentum, momentum),
        check(f"{name} has its learning rate", rates <= 1e-6, rates),  # a tensor of float32 on a GPU
        check(f"{name} has taken its steps", trained.steps == expected.steps == STEPS * EPOCHS, trained.steps),
    ]


def distance(ones: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    """Return the norm of the difference of all tensors together, relative to the norm of `others`."""
    one, other = (torch.cat([tensor.detach().cpu().double().flatten() for tensor in group]) for group in (ones, others))
    return float((one - other).norm() / other.norm())


def check(what: str, holds: bool, value: float) -> dict[str, Any]:
    """Record what was checked, whether it holds, and the number that decided it."""
    return {"what": what, "passed": bool(holds), "value": value if math.isfinite(value) else None}


def offsets(epochs: int = 20, images: int = 1000) -> np.ndarray:
    """Count how often the lab's loader crops at each of 9 × 9 corners and mirrors or not, (9, 9, 2).

    Read off the images: each pixel holds its row in one channel and its column in another. The central pixel is never
    cropped away, and its neighbour shows whether the image is mirrored.
    """
    config = load_config(*TINY, "data=fake", "data.image_size=32")
    size, pad = 32, config.augment["crop"].pad
    row, column = np.mgrid[:size, :size].astype(np.uint8)
    pixels = np.broadcast_to(np.stack([row, column, column]), (images, 3, size, size))
    resident = OnDevice(Images(pixels.copy(), np.zeros(images, np.int64)), torch.device("cpu"))
    as_they_are = Normalisation((0.0,) * 3, (1 / 255,) * 3)
    loader = TrainLoader(resident, np.arange(images), as_they_are, config, steps_per_call=1)
    counts = np.zeros((2 * pad + 1, 2 * pad + 1, 2), np.int64)
    middle = size // 2
    for epoch in range(epochs):
        loader.set_epoch(epoch)
        for batch, _ in loader:
            top, left = batch[:, :2, middle, middle].round().long().T - middle + pad
            flip = batch[:, 1, middle, middle + 1] < batch[:, 1, middle, middle]
            left = left + flip  # mirrored, the central pixel is from one column further left
            np.add.at(counts, (top.numpy(), left.numpy(), flip.long().numpy()), 1)
    return counts


def uniform(counts: np.ndarray, least_p: float = 1e-3) -> dict[str, Any]:
    """Check that all corners and both directions are equally likely (chi-square test)."""
    p = float(chisquare(counts.ravel()).pvalue)
    return check(f"all {counts.size} ways to crop and mirror are equally likely, p ≥ {least_p:g}", p >= least_p, p)


def all_checks(names: Sequence[str], device: torch.device, overrides: Sequence[str] = TINY) -> list[dict[str, Any]]:
    """Run all checks: the lab and the others against the eager bare loop, and the augmentation.

    bf16 hides small mistakes, so on a GPU the lab is compared with the loop in fp32 as well.
    """
    bare = follow("roof", overrides, device, eager=True)
    on_gpu = device.type == "cuda"
    made = [uniform(offsets())]
    for name in names:
        if name == "timm":  # another network: only the batches can be compared
            made.append(same_batches(name, follow(name, overrides, device), bare))
            continue
        seen = follow(name, overrides, device)
        tolerance = BF16 if on_gpu else REORDERED if reorders(name) else EXACT
        made += [same_batches(name, seen, bare), same_losses(name, seen, bare, tolerance)]
        made += same_state(name, seen, bare, tolerance)
    return [*made, *in_fp32(device)] if on_gpu else made


def reorders(name: str) -> bool:
    """Whether it may sum in another order than the bare loop: all others, and the lab with some settings."""
    own, _, setting = name.partition(":")
    return own not in ("lab", "roof", "floor") or setting in ("trainer.compile=inductor", "trainer.channels_last=false")


def in_fp32(device: torch.device) -> list[dict[str, Any]]:
    """Compare the lab and the bare loop, both as CUDA graphs, with the eager loop: in fp32 without TF32, strictly."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    fp32 = [*TINY, "trainer.precision=32-true"]
    bare = follow("roof", fp32, device, eager=True)
    made = []
    for name in ("lab", "roof"):
        seen = follow(name, fp32, device)
        made += [same_batches(name, seen, bare), same_losses(name, seen, bare, REORDERED)]
        made += same_state(name, seen, bare, REORDERED)
    return made
