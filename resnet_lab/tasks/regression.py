"""Regression: one number for each image."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.config.schema import Config
from resnet_lab.tasks.base import Task


class Regression(Task):
    """Mean squared error of the outputs (B, 1), and the mean absolute error in the unit of the labels.

    Outputs and targets (B,) are standardised by `data.label_scale`, so that labels can have any scale: a loss of 1 is
    that of always predicting the mean of the training labels.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.mean, self.std = config.data.label_scale or (0.0, 1.0)

    def targets(self, images_BCHW: Tensor, labels: Tensor) -> Tensor:
        return (labels - self.mean) / self.std

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
        return F.mse_loss(outputs[:, 0], targets.to(outputs.dtype))

    def penalty(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.std * (outputs[:, 0] - targets).abs().sum()

    def details(self) -> "NumberDetails":
        return NumberDetails(self.std)

    def final(self, outputs: Tensor) -> Tensor:
        """Return the numbers (B,), in the unit of the labels."""
        numbers = outputs[:, 0]
        return self.mean + self.std * numbers.to(torch.promote_types(numbers.dtype, torch.float32))

    def predictions(self, outputs: Tensor) -> Tensor:
        return self.final(outputs)


class NumberDetails:
    """`rmse` and `mae_of_mean`, that of always predicting the mean of the tested labels, in the unit of the labels.

    `r2` is the share of the tested labels' variance that the predictions explain, at most 1; left out if there is none.
    """

    def __init__(self, std: float) -> None:
        self.std = std
        self.outputs: list[Tensor] = []
        self.targets: list[Tensor] = []

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        self.outputs.append(outputs[:, 0])
        self.targets.append(targets)

    def scores(self, classes: Sequence[str]) -> dict[str, Any]:
        outputs, targets = torch.cat(self.outputs).cpu().double(), torch.cat(self.targets).cpu().double()
        square, variance = (outputs - targets).square().mean().item(), targets.var(correction=0).item()
        found = {
            "rmse": self.std * square**0.5,
            "mae_of_mean": self.std * (targets - targets.mean()).abs().mean().item(),
        }
        return found | ({"r2": 1 - square / variance} if variance else {})
