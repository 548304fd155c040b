"""The common task: all implementations train one network from the same weights, batches and learning rates.

Written without the lab's training engine, so that checks can compare the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import load_config
from resnet_lab.config.enums import Decayed, Optimizer, Schedule
from resnet_lab.config.schema import Config
from resnet_lab.data.sources import Images, read
from resnet_lab.model.resnet import ResNetV2

# CIFAR-10's mean colour in whole numbers, so that code that pads before normalising can pad with it, and its
# standard deviation. The images are random: the speed does not depend on their content.
MEAN = (125, 123, 114)
STD = (0.2470, 0.2435, 0.2616)
FAKE = (
    "data=fake",
    "data.validation=0",
    f"data.mean=[{','.join(repr(value / 255) for value in MEAN)}]",
    f"data.std=[{','.join(map(str, STD))}]",
)


class Epoch(NamedTuple):
    """The order of the images of an epoch, and for each the corner of its crop and whether it is mirrored."""

    row_N: np.ndarray
    top_N: np.ndarray
    left_N: np.ndarray
    flip_N: np.ndarray


@dataclass(frozen=True)
class Task:
    """A training by overrides of the lab, for `epochs` epochs of `steps` full mini-batches, on cpu or cuda.

    Raises ConfigError for a recipe other than the papers': SGD with momentum and a step schedule.
    """

    given: Sequence[str]
    steps: int
    epochs: int
    device: torch.device
    overrides: tuple[str, ...] = field(init=False)
    config: Config = field(init=False)

    def __post_init__(self) -> None:
        batch_size = load_config(*self.given).optim.batch_size
        accelerator = "gpu" if self.device.type == "cuda" else "cpu"
        length = (f"data.num_images={self.steps * batch_size}", f"trainer.max_epochs={self.epochs}")
        set_here = (*FAKE, *length, f"trainer.accelerator={accelerator}")
        object.__setattr__(self, "overrides", (*self.given, *set_here))
        object.__setattr__(self, "config", load_config(*self.overrides))
        optim = self.config.optim
        known = optim.name is Optimizer.sgd and optim.schedule.kind is Schedule.step and optim.decayed is Decayed.all
        others = (optim.nesterov, optim.warmup_iterations, optim.label_smoothing, optim.clip_norm, optim.ema)
        if not known or optim.decay_changes or any(others):
            raise ConfigError("benchmarks need the papers' recipe: optim=sgd, with its default settings")

    @property
    def batch_size(self) -> int:
        """Images per mini-batch; an epoch has only full ones."""
        return self.config.optim.batch_size

    def images(self) -> Images:
        """Return random images of the configured shape."""
        return read(self.config.data).train

    def network(self) -> ResNetV2:
        """Build the network with its initial weights."""
        torch.manual_seed(self.config.seed)
        return ResNetV2(self.config.model)

    def sgd(self, net: torch.nn.Module, **how: bool) -> torch.optim.SGD:
        """Build the papers' optimiser for all parameters; `how` selects its kernels."""
        optim = self.config.optim
        return torch.optim.SGD(net.parameters(), optim.lr, optim.momentum, weight_decay=optim.weight_decay, **how)

    def epoch(self, number: int) -> Epoch:
        """Draw order, corners, then mirrorings of an epoch (from 0) from a generator seeded by (seed, epoch)."""
        rng, augment = np.random.default_rng([self.config.seed, number]), self.config.augment
        count = self.steps * self.batch_size
        row_N = rng.permutation(count)
        top_N, left_N = rng.integers(0, 2 * augment["crop"].pad + 1, size=(2, count))
        return Epoch(row_N, top_N, left_N, rng.random(count) < augment["flip"].p)

    def lr_factor(self, step: int) -> float:
        """Return the factor of the learning rate at a step (from 0): 1, then less after fractions of all steps."""
        schedule, total = self.config.optim.schedule, self.steps * self.epochs
        passed = [f for m, f in zip(schedule.milestones, schedule.factors, strict=True) if step >= m * total]
        return passed[-1] if passed else 1.0

    @property
    def threads(self) -> int:
        """CPU threads: as many as the lab uses, so that no implementation has more."""
        from resnet_lab.tasks.cost import measure
        from resnet_lab.training.runtime import Runtime

        return Runtime.resolve(self.config, measure(self.config).macs).num_threads

    @property
    def bf16(self) -> bool:
        """Whether to compute in bf16: if the hardware supports it, unless fp32 is requested."""
        on_gpu = self.device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return on_gpu and self.config.trainer.precision in ("auto", "bf16-mixed")


def normalised(pixels: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """Convert uint8 pixels to float32 as all implementations do; mean and std are for 0…1 and must broadcast."""
    return pixels.float().div_(255).sub_(mean).div_(std)
