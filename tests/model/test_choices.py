"""A closed choice has a branch for each of its values, and no two share one."""

from enum import Enum
from itertools import combinations

import pytest
import torch

from resnet_lab import ResNetV2, load_config
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.model_enums import Activation, Downsample, Init, ProjectionInput, Resize, StrideOn
from resnet_lab.config.registry import UNITS
from resnet_lab.model.layers import PLACEMENTS

CHOICES: dict[str, type[Enum]] = {
    "activation": Activation,
    "resize": Resize,
    "downsample": Downsample,
    "lineage.projection_input": ProjectionInput,
    "lineage.stride_on": StrideOn,
    "lineage.init": Init,
}


def model_with(setting: str, value: object) -> ModelConfig:
    """A small model whose network depends on every one of the settings above."""
    model = load_config("data=fake", "filters=w16", "shortcut=dropout").model
    section, _, field = setting.rpartition(".")
    setattr(getattr(model, section) if section else model, field, value)
    return model


def logits(model: ModelConfig) -> torch.Tensor:
    torch.manual_seed(0)
    net = ResNetV2(model).eval()
    return net(torch.randn(2, 3, 16, 16))


@pytest.mark.parametrize("setting", CHOICES)
def test_no_two_values_are_the_same_network(setting: str) -> None:
    found = [logits(model_with(setting, value)) for value in CHOICES[setting]]
    assert all(out.isfinite().all() for out in found)
    assert not any(torch.equal(one, other) for one, other in combinations(found, 2))


@pytest.mark.parametrize("setting", CHOICES)
def test_a_value_without_a_branch_builds_nothing(setting: str) -> None:
    with pytest.raises((AssertionError, KeyError, AttributeError)):
        ResNetV2(model_with(setting, "new"))


def test_the_table_of_placements_is_complete_and_agrees_with_what_settings_say() -> None:
    assert set(PLACEMENTS) == set(Activation)
    assert ["relu" in PLACEMENTS[a].before(0) for a in Activation] == [a.preactivates for a in Activation]


@pytest.mark.parametrize("kind", UNITS)
def test_units_are_what_their_entries_say(kind: str) -> None:
    convs, info = UNITS.load(kind).convs, UNITS.info(kind)
    assert info.bottleneck == any(conv.bottleneck for conv in convs)
    assert not convs[-1].bottleneck
    assert info.stride_can_move == (convs[0].kernel == 1)
