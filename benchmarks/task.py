"""What all implementations train: one network with its initial weights, by the same batches and learning rates.

Written without the lab's training engine, so that a check can hold the two against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import load_config
from resnet_lab.config.enums import Optimizer, Schedule
from resnet_lab.config.schema import Config
from resnet_lab.data.sources import Images, read
from resnet_lab.model.resnet import ResNetV2

# CIFAR-10's mean colour in whole numbers, so that who pads before normalising can pad with it, and its
# deviation. The images themselves are random: how fast they are trained on does not depend on what they show.
MEAN = (125, 123, 114)
STD = (0.2470, 0.2435, 0.2616)
FAKE = (
    "data=fake",
    "data.validation=0",
    f"data.mean=[{','.join(repr(value / 255) for value in MEAN)}]",
    f"data.std=[{','.join(map(str, STD))}]",
)


class Epoch(NamedTuple):
    """The images of an epoch in order, and how each is changed: the corner of its crop, and whether it is mirrored."""

    row_N: np.ndarray
    top_N: np.ndarray
    left_N: np.ndarray
    flip_N: np.ndarray


@dataclass(frozen=True)
class Task:
    """A training by overrides of the lab, for `epochs` epochs of `steps` whole mini-batches, on cpu or cuda.

    Raises ConfigError when the recipe is another than the papers': SGD with momentum and steps in the learning rate.
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
        known = optim.name is Optimizer.sgd and optim.schedule is Schedule.step and optim.decay_all
        if not known or optim.nesterov or optim.warmup_iterations or optim.label_smoothing or optim.clip_norm:
            raise ConfigError("benchmarks train by the papers' recipe: optim=sgd, with its settings as they are")

    @property
    def batch_size(self) -> int:
        """Images of a mini-batch; each epoch has whole ones only."""
        return self.config.optim.batch_size

    def images(self) -> Images:
        """Random images of the task's shape."""
        return read(self.config.data).train

    def network(self) -> ResNetV2:
        """The network, with the weights it begins with."""
        torch.manual_seed(self.config.seed)
        return ResNetV2(self.config.model)

    def sgd(self, net: torch.nn.Module, **how: bool) -> torch.optim.SGD:
        """The papers' optimiser over all parameters; `how` says by which kernels."""
        optim = self.config.optim
        return torch.optim.SGD(net.parameters(), optim.lr, optim.momentum, weight_decay=optim.weight_decay, **how)

    def epoch(self, number: int) -> Epoch:
        """The draws of an epoch (from 0): a generator seeded by (seed, epoch) gives order, corners, then mirrorings."""
        rng, augment = np.random.default_rng([self.config.seed, number]), self.config.augment
        count = self.steps * self.batch_size
        row_N = rng.permutation(count)
        top_N, left_N = rng.integers(0, 2 * augment["crop"].pad + 1, size=(2, count))
        return Epoch(row_N, top_N, left_N, rng.random(count) < augment["flip"].p)

    def lr_factor(self, step: int) -> float:
        """By what the learning rate of a step (from 0) is multiplied: 1, then less after shares of all steps."""
        optim, total = self.config.optim, self.steps * self.epochs
        passed = [f for m, f in zip(optim.milestones, optim.lr_factors, strict=True) if step >= m * total]
        return passed[-1] if passed else 1.0

    @property
    def threads(self) -> int:
        """Of the CPU: as many as the lab takes, so that none has more."""
        from resnet_lab.tasks.cost import measure
        from resnet_lab.training.runtime import Runtime

        return Runtime.resolve(self.config, measure(self.config).macs).num_threads

    @property
    def bf16(self) -> bool:
        """Whether to compute in bf16: where the hardware does, unless fp32 is asked for."""
        on_gpu = self.device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return on_gpu and self.config.trainer.precision in ("auto", "bf16-mixed")


def normalised(pixels: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """uint8 pixels → float32, as all do it; mean and std for pixels in 0…1, in a shape that broadcasts."""
    return pixels.float().div_(255).sub_(mean).div_(std)
