"""The book's recipe on a toy: the rates, decay and updates that Keras computed (`scripts/write_keras.py`)."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.composing import config as load_config
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lab.config.enums import Decayed
from resnet_lab.config.optim import OptimConfig
from resnet_lab.training.optimizer import build_optimizer, set_rates
from resnet_lab.training.schedule import rates

KERAS = json.loads((Path(__file__).parents[1] / "golden" / "keras.json").read_text())
EPOCHS = (21, 61, 101, 141, 181)  # of 200: one step in each


@pytest.fixture(scope="module")
def optim() -> OptimConfig:
    return load_config("+experiment=cifar10_20_atienza").optim


def waves(shape: tuple[int, ...], frequency: float) -> Tensor:
    """The images of the script."""
    count = torch.arange(1, 1 + torch.Size(shape).numel(), dtype=torch.float64)
    return torch.sin(frequency * count**1.5).reshape(shape)


def of_keras(weights: list[Any]) -> list[Tensor]:
    """Weights of Keras in torch's order: it stores kernels as (H, W, in, out) and matrices as (in, out)."""
    tensors = [torch.tensor(weight, dtype=torch.float64) for weight in weights]
    return [w.permute(3, 2, 0, 1) if w.ndim == 4 else w.T if w.ndim == 2 else w for w in tensors]


def changes(after: list[Tensor]) -> Tensor:
    return torch.cat([(a - b).flatten() for a, b in zip(after, of_keras(KERAS["weights"][0]), strict=True)])


def worst(optim: OptimConfig, places_eps_as_keras: bool) -> float:
    """The largest difference from Keras after any step, relative to the largest change of a weight."""
    toy = [nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2, eps=1e-3), nn.ReLU(), nn.Conv2d(2, 3, 3, 2)]
    net = nn.Sequential(*toy, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3)).double()
    for parameter, weight in zip(net.parameters(), of_keras(KERAS["weights"][0]), strict=True):
        parameter.data.copy_(weight)
    optimizer, found = build_optimizer(optim, net), 0.0
    for number, epoch in enumerate(EPOCHS):
        now = rates(optim, epoch, 200)
        assert now.lr == pytest.approx(KERAS["rates"][number], rel=1e-6)
        set_rates(optimizer, now)
        if places_eps_as_keras:
            for group in optimizer.param_groups:
                group["eps"] = optim.eps / (1 - optim.betas[1] ** (number + 1)) ** 0.5
        optimizer.zero_grad()
        F.cross_entropy(net(waves((4, 1, 7, 7), 0.7 + number)), torch.arange(4) % 3).backward()
        optimizer.step()
        expected = changes(of_keras(KERAS["weights"][number + 1]))
        difference = changes([parameter.detach() for parameter in net.parameters()]) - expected
        found = max(found, (difference.abs().max() / expected.abs().max()).item())
    return found


def test_rates_decay_and_updates_are_those_of_keras(optim: OptimConfig):
    """Keras adds eps to the root of the second moment before correcting its bias, torch after it.

    With eps in the same place, what is left is rounding: a part of Keras computes in float32. As it is, eps has an
    effect on weights whose gradient is not far above it: here, 1.2 % of an update at most.
    """
    assert optim.eps == KERAS["epsilon"]
    assert worst(optim, places_eps_as_keras=True) < 1e-6
    assert 1e-3 < worst(optim, places_eps_as_keras=False) < 0.02


@pytest.mark.parametrize("other", [{"weight_decay": 1e-4}, {"decayed": Decayed.weights}, {"betas": [0.9, 0.99]}])
def test_another_recipe_is_noticed(optim: OptimConfig, other: dict[str, Any]):
    assert worst(dataclasses.replace(optim, **other), places_eps_as_keras=True) > 1e-5
