"""The numbers of all experiments, and what papers print of them."""

import json
from pathlib import Path

import pytest
import torch
from support.composing import config as composed
from support.composing import experiment as of_name
from torch import nn

from resnet_lab import ResNetV2
from resnet_lab.config.groups import options
from resnet_lab.config.published import published, recipe_differences
from resnet_lab.tasks.cost import measure

pytestmark = pytest.mark.slow

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "networks.json").read_text())


def test_every_experiment_has_its_numbers() -> None:
    assert sorted(GOLDEN) == options("experiment")


@pytest.mark.parametrize("experiment", options("experiment"))
def test_golden_numbers(experiment: str) -> None:
    golden = GOLDEN[experiment]
    config = of_name(experiment)
    paper, cost = published(config), measure(config)
    assert list(config.data.image_shape) == golden["image_shape"]
    assert cost.totals().items() <= golden.items()
    assert not cost.uncounted
    config.data.validation = 0
    like = paper and not recipe_differences(config, paper)
    assert (paper.error if paper and like else None) == golden["published_error"]


@pytest.mark.parametrize(
    ("experiment", "millions", "digits"),
    [
        ("cifar10_basic_20", 0.27, 2),
        ("cifar10_basic_32", 0.46, 2),
        ("cifar10_basic_44", 0.66, 2),
        ("cifar10_basic_56", 0.85, 2),
        ("cifar10_basic_110", 1.7, 1),
        ("cifar10_basic_1202", 19.4, 1),
    ],
)
def test_params_as_printed(experiment: str, millions: float, digits: int) -> None:
    assert round(GOLDEN[experiment]["params"] / 1e6, digits) == millions


@pytest.mark.parametrize(
    ("experiment", "params"),
    [
        ("cifar10_56", 590_426),
        ("cifar10_164", 1_703_258),
        ("cifar10_basic_20", 269_722),
        ("cifar10_basic_56", 853_018),
        ("cifar10_56_atienza", 1_663_338),
    ],
)
def test_params_to_the_last_digit(experiment: str, params: int) -> None:
    assert GOLDEN[experiment]["params"] == params


def test_resnet_1001_without_what_the_paper_left_out() -> None:
    """The 10.2 M of arXiv:1603.05027 do not count BatchNorm's parameters."""
    with torch.device("meta"):
        net = ResNetV2(composed("+experiment=cifar10_1001").model)
    of_norms = sum(p.numel() for m in net.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    assert round((GOLDEN["cifar10_1001"]["params"] - of_norms) / 1e6, 1) == 10.2


def test_published_errors_stand_for_the_very_network() -> None:
    at = "+experiment=cifar10_v1_110"
    gated = composed(at, "shortcut=exclusive_gating")
    assert published(gated).error == 8.70
    assert published(composed(at, "shortcut=exclusive_gating", "model.gate_bias=-7")).error == 9.81
    assert published(composed(at, "shortcut=exclusive_gating", "model.gate_bias=-5")) is None
    assert published(composed(at, "model.units=[18,18,18]", "model.gate_bias=-5")).error == 6.61
    assert published(composed("+experiment=cifar10_164", "bottleneck=half")) is None
    assert published(composed("+experiment=cifar10_164", "data=mnist")) is None
