"""Units and shortcuts of one's own: registered, chosen by their names, trained, and gone again."""

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from support.lab import Lab
from torch import Tensor, nn

from resnet_lab import ResNetV2, load_config
from resnet_lab.config.canonical import canonical
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.registry import SHORTCUTS, UNITS, ShortcutInfo, UnitInfo
from resnet_lab.model.shortcuts import ShortcutSpec, Sum
from resnet_lab.model.spec import ConvSpec
from resnet_lab.model.units import ResidualUnit
from resnet_lab.tasks.cost import measure, tree

SMALL = ("data=fake", "data.image_size=8", "filters=w16")


@pytest.fixture(autouse=True)
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    for registry in (UNITS, SHORTCUTS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))


def trains(lab: Lab, *overrides: str) -> None:
    """A run of one step changes every weight of every unit, and is done."""
    changes = ("trainer.max_epochs=1", "trainer.max_batches=1", *overrides)
    result = lab.run(*changes)
    assert 0 < result["history"][0]["train/loss"] < 10
    weights = lab.checkpoint(*changes)["state_dict"]
    norms = [tensor for name, tensor in weights.items() if "units" in name and name.endswith("norm.weight")]
    assert norms
    assert all((tensor != 1).any() for tensor in norms)


def test_a_unit(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    @UNITS.register("mine", UnitInfo(help="1x1, 5x5 in groups, 3x3 with holes, 1x1", bottleneck=True))
    class Mine(ResidualUnit):
        convs = (
            ConvSpec(1, bottleneck=True),
            ConvSpec(5, bottleneck=True, groups=2),
            ConvSpec(3, bottleneck=True, dilation=2),
            ConvSpec(1),
        )

    config = load_config(*SMALL, "unit=mine", "bottleneck=half")
    assert config == load_config(*SMALL, "model.unit=mine", "bottleneck=half")
    unit = ResNetV2(config.model).stacks[1].units[0]
    assert isinstance(unit, Mine)
    convs = [layer.conv for layer in unit.layers]
    assert [(c.in_channels, c.out_channels, c.groups, c.dilation[0], c.stride[0]) for c in convs] == [
        (16, 16, 1, 1, 2),
        (16, 16, 2, 1, 1),
        (16, 16, 1, 2, 1),
        (16, 32, 1, 1, 1),
    ]
    assert unit(torch.randn(2, 16, 8, 8)).shape == (2, 32, 4, 4)
    assert measure(config).depth == 3 * 2 * 4 + 2
    trains(lab, "unit=mine", "bottleneck=half")

    monkeypatch.undo()
    for spelling in ("unit=mine", "model.unit=mine"):
        with pytest.raises(ConfigError, match=r"model\.unit can be bottleneck, basic, triple, dense, conv; got mine"):
            load_config(*SMALL, spelling, "bottleneck=half")


@pytest.mark.parametrize("stride_on", ["first", "spatial"])
@pytest.mark.parametrize("strided", range(3))
def test_a_unit_says_which_of_its_convolutions_has_the_stride(strided: int, stride_on: str) -> None:
    @UNITS.register("mine", UnitInfo(help="3x3, 1x1, 3x3", stride_can_move=True))
    class Mine(ResidualUnit):
        convs = tuple(ConvSpec(kernel, strided=index == strided) for index, kernel in enumerate((3, 1, 3)))

    config = load_config(*SMALL, "unit=mine", "bottleneck=none", f"model.lineage.stride_on={stride_on}")
    unit = ResNetV2(config.model).stacks[1].units[0]
    assert [layer.conv.stride[0] for layer in unit.layers] == [2 if index == strided else 1 for index in range(3)]
    assert unit(torch.randn(2, 16, 8, 8)).shape == (2, 32, 4, 4)


def test_without_a_spatial_convolution_the_first_one_has_the_stride() -> None:
    @UNITS.register("mine", UnitInfo(help="1x1, 1x1", stride_can_move=True))
    class Mine(ResidualUnit):
        convs = (ConvSpec(1), ConvSpec(1))

    config = load_config(*SMALL, "unit=mine", "bottleneck=none", "model.lineage.stride_on=spatial")
    assert [layer.conv.stride[0] for layer in ResNetV2(config.model).stacks[1].units[0].layers] == [2, 1]


@pytest.mark.parametrize(("can_move", "stride_on", "strides"), [(True, "spatial", [1, 2]), (False, "spatial", [2, 1])])
def test_a_unit_s_stride_is_where_its_entry_lets_it_be(can_move: bool, stride_on: str, strides: list[int]) -> None:
    @UNITS.register("mine", UnitInfo(help="1x1, 3x3", stride_can_move=can_move))
    class Mine(ResidualUnit):
        convs = (ConvSpec(1), ConvSpec(3))

    config = load_config(*SMALL, "unit=mine", "bottleneck=none", f"model.lineage.stride_on={stride_on}")
    unit = ResNetV2(config.model).stacks[1].units[0]
    assert [layer.conv.stride[0] for layer in unit.layers] == strides
    assert ("model.lineage.stride_on" in canonical(config)) == can_move


def test_a_shortcut(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    @SHORTCUTS.register("mine", ShortcutInfo(help="S + b F", reads=frozenset({"resize", "residual_scale"})))
    class Mine(Sum):
        def __init__(self, spec: ShortcutSpec) -> None:
            super().__init__(spec)
            self.scale = spec.settings["residual_scale"]
            assert set(spec.settings) == {"resize", "residual_scale"}

        def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
            return self.path(x_BCHW) + self.scale * residual_BCHW

    config = load_config(*SMALL, "shortcut=mine", "model.residual_scale=0.25")
    assert config == load_config(*SMALL, "model.shortcut=mine", "model.residual_scale=0.25")
    settings = canonical(config)
    assert settings["model.residual_scale"] == 0.25
    assert "model.shortcut_scale" not in settings
    torch.manual_seed(0)
    unit = ResNetV2(config.model).stacks[0].units[1].eval()
    assert isinstance(unit.shortcut, Mine)
    x = torch.randn(2, 16, 8, 8)
    residual = x
    for layer in unit.layers:
        residual = layer(residual)
    torch.testing.assert_close(unit(x), x + residual / 4)
    trains(lab, "shortcut=mine", "model.residual_scale=0.25")

    monkeypatch.undo()
    for spelling in ("shortcut=mine", "model.shortcut=mine"):
        with pytest.raises(ConfigError, match=r"model\.shortcut can be projection, .*, none; got mine"):
            load_config(*SMALL, spelling)


@pytest.mark.parametrize("projection_input", ["activated", "raw"])
@pytest.mark.parametrize("takes_activated", [False, True])
def test_a_shortcut_says_what_it_takes(takes_activated: bool, projection_input: str) -> None:
    seen: list[Tensor] = []

    @SHORTCUTS.register("mine", ShortcutInfo(help="F", takes_activated=takes_activated))
    class Mine(nn.Module):
        def __init__(self, spec: ShortcutSpec) -> None:
            super().__init__()

        def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
            seen.append(x_BCHW)
            return residual_BCHW

    config = load_config(*SMALL, "shortcut=mine", f"model.lineage.projection_input={projection_input}")
    first, second = ResNetV2(config.model).stacks[1].units
    x_BCHW = torch.randn(2, 16, 8, 8)
    second(first(x_BCHW))
    are_activated = [bool((x >= 0).all()) for x in seen]
    assert are_activated == [projection_input == "activated", projection_input == "activated" and takes_activated]


def test_a_shortcut_with_layers_that_are_not_counted_is_told() -> None:
    @SHORTCUTS.register("mine", ShortcutInfo(help="PReLU(x) + F"))
    class Mine(nn.Module):
        def __init__(self, spec: ShortcutSpec) -> None:
            super().__init__()
            self.path, self.bend = spec.projection(), nn.PReLU()

        def forward(self, x_BCHW: Tensor, residual_BCHW: Tensor) -> Tensor:
            return self.bend(self.path(x_BCHW)) + residual_BCHW

    config = load_config(*SMALL, "shortcut=mine")
    cost = measure(config)
    shown = Console(width=110, file=StringIO())
    shown.print(tree(config, cost))
    told = "leave out prelu of stacks.0.units.0.shortcut.bend and 5 more"
    assert told in " ".join(shown.file.getvalue().split())
    assert cost.params == sum(p.numel() for p in ResNetV2(config.model).parameters())


def test_a_unit_that_cannot_be_built_is_one_message() -> None:
    @UNITS.register("mine", UnitInfo(help="too many groups"))
    class Mine(ResidualUnit):
        convs = (ConvSpec(3, groups=7),)

    with pytest.raises(ConfigError, match="the network cannot be built: in_channels must be divisible by groups"):
        measure(load_config(*SMALL, "unit=mine", "bottleneck=none"))


def test_the_examples_of_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "extending.md").read_text()
    names: dict[str, Any] = {}
    for code in re.findall(r"(?s)```python\n(.*?)```", page):
        exec(code, names)
    net = ResNetV2(load_config("data=fake", "unit=grouped", "shortcut=halved").model)
    unit = net.stacks[1].units[1].eval()
    nn.init.zeros_(unit.layers[-1].conv.weight)
    x_BCHW = torch.randn(2, 128, 4, 4)
    assert torch.equal(unit(x_BCHW), x_BCHW / 2)
    assert [layer.conv.groups for layer in unit.layers] == [1, 8, 1]
    net = ResNetV2(load_config("data=fake", "shortcut=mixed", "model.shortcut_scale=0.5").model)
    unit = net.stacks[1].units[1].eval()
    nn.init.zeros_(unit.shortcut.mix.weight)
    assert torch.equal(unit(x_BCHW), x_BCHW / 2)
