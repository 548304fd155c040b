"""What axes reduce to at the end of their range, and what chance does in training."""

from typing import Any

import pytest
import torch
from support.composing import config
from torch import Tensor, nn

from resnet_lab import ResNetV2
from resnet_lab.config.branch import AttentionConfig, StochasticDepthConfig
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.model_enums import Attention, AttentionPlace, DropOver, DropPer, DropRescale
from resnet_lab.model.attention import SqueezeExcitation
from resnet_lab.model.branch import StochasticDepth
from resnet_lab.tasks.cost import measure

SMALL = ("data=fake", "data.image_size=8", "stacks=two", "units=n2", "filters=w16")


def network(*changes: str) -> ResNetV2:
    torch.manual_seed(0)
    return ResNetV2(config(*SMALL, *changes).model).double()


def outputs(net: ResNetV2, train: bool = True) -> Tensor:
    torch.manual_seed(1)
    return net.train(train)(torch.randn(6, 3, 8, 8, dtype=torch.float64))


def with_weights(net: ResNetV2, other: ResNetV2) -> ResNetV2:
    """`net` with the weights that `other` has under the same names."""
    net.load_state_dict(other.state_dict(), strict=False)
    return net


@pytest.mark.parametrize(
    "changes",
    [
        ("model.stochastic_depth.rate=0", "model.stochastic_depth.per=image"),
        ("model.unit_dropout=0",),
        ("model.cardinality=1", "model.base_width=64"),
        ("filters=k1",),
    ],
)
def test_the_end_of_a_range_is_the_plain_network(changes: tuple[str, ...]):
    assert torch.equal(outputs(network(*changes)), outputs(network()))


def test_a_learned_factor_of_one_changes_nothing_and_of_zero_leaves_the_shortcuts():
    own = ("shortcut=zero_pad", "model.lineage.projection_input=raw")
    plain = network(*own)
    assert torch.equal(outputs(with_weights(network(*own, "model.learned_scale=1"), plain)), outputs(plain))
    net = with_weights(network(*own, "model.learned_scale=0"), plain)
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    found = net.eval().intermediates(images)
    assert torch.equal(found["stacks.0"], found["stem"])
    assert torch.equal(found["stacks.1"][:, :16], found["stem"][:, :, ::2, ::2])
    outputs(net).sum().backward()
    moved = [unit.branch_end.scale.scale.grad for stack in net.stacks for unit in stack.units]
    assert all(gradient.abs().item() > 0 for gradient in moved)  # it leaves zero with the first step


@pytest.mark.parametrize("place", AttentionPlace)
def test_attention_whose_last_layer_is_zero_halves(place: AttentionPlace):
    torch.manual_seed(0)
    block = SqueezeExcitation(32, AttentionConfig(kind=Attention.se, place=place, bias=True))
    nn.init.zeros_(block.excite.weight)
    nn.init.zeros_(block.excite.bias)
    maps = torch.randn(2, 32, 5, 4)
    assert torch.equal(block(maps), maps / 2)


@pytest.mark.parametrize(("maps", "hidden"), [(64, 4), (16, 1), (8, 1), (40, 2)])
def test_hidden_units_of_attention(maps: int, hidden: int):
    block = SqueezeExcitation(maps, AttentionConfig(kind=Attention.se))
    assert block.squeeze.weight.shape == (hidden, maps)


def test_one_group_is_layer_norm_and_as_many_as_maps_normalise_each_map():
    layer, group = network("norm=layer"), network("norm=group", "model.norm_groups=1")
    assert torch.equal(outputs(with_weights(group, layer)), outputs(layer))
    net = network("model.filters=[4,4]", "model.stem.filters=4", "bottleneck=none", "norm=group", "model.norm_groups=4")
    maps = net.stem.activation.norm(net.stem.conv(torch.randn(2, 3, 8, 8, dtype=torch.float64)))
    torch.testing.assert_close(maps.mean(dim=(2, 3)), torch.zeros(2, 4, dtype=torch.float64))


def dropped(rate: float, count: int = 4000, **settings: Any) -> Tensor:
    """What is left of a branch of ones in each of many images."""
    torch.manual_seed(0)
    end = StochasticDepth(rate, StochasticDepthConfig(rate=rate, **settings))
    return end(torch.ones(count, 2, 3, 3))


def test_branches_are_dropped_for_whole_images_or_mini_batches():
    for rescale, kept in ((DropRescale.test, 1.0), (DropRescale.training, 1 / 0.7)):
        left = dropped(0.3, per=DropPer.image, rescale=rescale)
        assert torch.equal(left.amax(dim=(1, 2, 3)), left.amin(dim=(1, 2, 3)))
        assert {*left.unique().tolist()} == {0.0, torch.tensor(kept).item()}
        assert (left[:, 0, 0, 0] > 0).float().mean().item() == pytest.approx(0.7, abs=0.03)
    torch.manual_seed(0)
    end = StochasticDepth(0.3, StochasticDepthConfig(rate=0.3))
    batches = torch.stack([end(torch.ones(5, 1, 1, 1)).flatten() for _ in range(2000)])
    assert torch.equal(batches.amax(dim=1), batches.amin(dim=1))
    assert batches.mean().item() == pytest.approx(0.7, abs=0.04)


def test_a_branch_keeps_its_expected_size():
    branch = torch.randn(3, 2, 4, 4)
    for rescale in DropRescale:
        settings = StochasticDepthConfig(rate=0.4, per=DropPer.image, rescale=rescale)
        end = StochasticDepth(0.4, settings)
        expected = dropped(0.4, count=20_000, per=DropPer.image, rescale=rescale).mean().item()
        torch.testing.assert_close(end.eval()(branch), expected * branch, rtol=0.02, atol=0.01)


def test_rates_grow_as_papers_say():
    def rates(over: DropOver) -> list[float]:
        return StochasticDepthConfig(rate=0.5, over=over).rates(54)

    assert rates(DropOver.linear) == pytest.approx([0.5 * unit / 54 for unit in range(1, 55)])
    assert rates(DropOver.linear_from_zero) == pytest.approx(torch.linspace(0, 0.5, 54).tolist())
    assert rates(DropOver.constant) == [0.5] * 54


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ("norm=group", "model.norm_groups=5"),
            r"model\.norm_groups 5 must divide .*\[4, 8, 16, 32\]: take model\.norm_groups=4 or",
        ),
        (
            ("cardinality=c32_4", "unit=basic", "bottleneck=none"),
            r"model\.cardinality and model\.base_width need",
        ),
        (
            ("cardinality=c32_4",),
            r"model\.base_width 4 leaves less than one bottleneck map .*: take at least 16",
        ),
        (
            ("shortcut=none", "model.stochastic_depth.rate=0.5"),
            r"model\.stochastic_depth\.rate needs shortcuts",
        ),
        (
            (
                "data.image_size=2",
                "norm=group",
                "model.norm_groups=8",
                "model.filters=[16,8]",
                "bottleneck=none",
                "unit=basic",
            ),
            r"model\.norm_groups 8 leaves one value in a group",
        ),
        (("model.learned_scale=nan",), r"model\.learned_scale must be a number from -1000000 to 1000000, got nan"),
        (("shortcut=none", "model.learned_scale=0"), r"model\.learned_scale needs shortcuts, got shortcut=none"),
        (("model.stochastic_depth.rate=1",), r"model\.stochastic_depth\.rate must be in \[0, 1\), got 1"),
        (("model.unit_dropout=-0.1",), r"model\.unit_dropout must be"),
        (("attention=se", "model.attention.reduction=0"), r"model\.attention\.reduction must be at least 1, got 0"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: tuple[str, ...], message: str):
    with pytest.raises(ConfigError, match=message):
        config(*SMALL, *changes)


@pytest.mark.parametrize(
    "changes",
    [
        ("filters=w16", "bottleneck=sixteenth"),
        ("model.stem.filters=1", "filters=w8", "bottleneck=none", "unit=basic"),
        ("filters=w1", "bottleneck=none", "unit=basic", "model.stem.filters=4"),
        ("model.stem.filters=1", "filters=w4", "bridges=stack", "unit=basic", "bottleneck=none", "shortcut=zero_pad"),
    ],
)
def test_a_kernel_of_a_single_weight_is_not_standardised(changes: tuple[str, ...]):
    with pytest.raises(ConfigError, match=r"^model\.weight_standardisation: a 1x1"):
        measure(config("units=n1", *changes, "model.weight_standardisation=true"))


@pytest.mark.parametrize(
    ("changes", "narrow"),
    [
        (("filters=w8",), [8]),
        (("model.attention.place=pre", "model.stem.filters=8", "filters=w16"), [8]),
        (("model.attention.place=pre", "model.filters=[32,8]"), []),
    ],
)
def test_narrow_maps_are_those_that_attention_acts_on(changes: tuple[str, ...], narrow: list[int]):
    assert (
        config(
            "stacks=two", "units=n1", "bottleneck=none", "unit=basic", "attention=se", *changes
        ).model.narrow_attention
        == narrow
    )
