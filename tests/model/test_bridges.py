"""How far shortcuts reach: what the options have in common, and what they reduce to."""

import pytest
import torch
from support.composing import config
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lab import ResNetV2
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.stored import from_dict, to_dict, to_stored

SMALL = ("data=fake", "data.image_size=9", "model.units=[2,1,3]", "filters=w16", "model.lineage.projection_input=raw")


def network(*changes: str) -> ResNetV2:
    torch.manual_seed(0)
    return ResNetV2(config(*SMALL, *changes).model).double()


def images() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 3, 9, 9, dtype=torch.float64)


@pytest.mark.parametrize("zero", [False, True])
def test_sums_with_the_same_projections_everywhere_are_the_residual_network(zero: bool):
    """A residual network projects the sum of all earlier outputs; the others project each of them for each receiver."""
    plain, reach = network(), {kind: network(f"bridges={kind}") for kind in ("stack_sum", "net_sum")}
    first, second = (plain.stacks[s].units[0].shortcut.path.weight.data for s in (1, 2))
    if zero:
        first.zero_()
        second.zero_()
    both = (second[:, :, 0, 0] @ first[:, :, 0, 0])[..., None, None]
    # From the stem and the two units of the first stack, then from the one unit of the second.
    kernels = {"stack_sum": (first, second), "net_sum": (first.repeat(1, 3, 1, 1), torch.cat([both] * 3 + [second], 1))}
    for kind, net in reach.items():
        net.load_state_dict(plain.state_dict(), strict=False)
        for stack, kernel in zip(net.stacks[1:], kernels[kind], strict=True):
            for projection in stack.projections:
                projection.weight.data.copy_(kernel)
        assert not net.stacks[0].projections  # nothing has another shape there
        torch.testing.assert_close(net.train()(images()), plain.train()(images()), rtol=1e-9, atol=1e-10)


def test_without_shortcuts():
    assert torch.equal(network("bridges=none")(images()), network("shortcut=none")(images()))
    assert torch.equal(network("bridges=none", "shortcut=conv")(images()), network("shortcut=none")(images()))


def test_concatenated_outputs_stay_as_they_are():
    kept = network("bridges=net_concat").intermediates(images())

    def averaged(maps: Tensor, times: int) -> Tensor:
        for _ in range(times):
            maps = F.avg_pool2d(maps, 2, ceil_mode=True, count_include_pad=False)
        return maps

    units = [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1), (2, 2)]
    parts = [averaged(kept["stem"], 2), *(averaged(kept[f"stacks.{s}.units.{u}"], 2 - s) for s, u in units)]
    torch.testing.assert_close(kept["stacks.2"], torch.cat(parts, dim=1))


def test_concatenating_units_of_zeros_leaves_the_stem():
    net = network("bridges=stack_concat")
    for stack in net.stacks:
        for unit in stack.units:
            nn.init.zeros_(unit.layers[-1].conv.weight)
    last = net.intermediates(images())
    assert torch.equal(last["stacks.0"][:, :16], last["stem"])
    assert not last["stacks.0"][:, 16:].any()


def test_the_growth_is_the_same_in_all_stacks():
    net = network("bridges=stack_concat_half", "filters=w12")
    assert [stack.units[0].layers[-1].conv.out_channels for stack in net.stacks] == [12, 12, 12]
    # 16 + 2 * 12 = 40, half of it and 12 more, half of it and 3 * 12 more
    assert [maps.shape[1] for name, maps in net.intermediates(images()).items() if name.count(".") == 1] == [40, 32, 52]


@pytest.mark.parametrize(("value", "reach"), [("on", "stack"), ("off", "unit"), ("yes", "stack"), ("0", "unit")])
def test_the_former_name(value: str, reach: str):
    assert config(f"stack_shortcut={value}") == config(f"bridges={reach}")
    assert config(f"model.stack_shortcut={value}") == config(f"model.bridges={reach}")
    stored = to_stored(config(f"bridges={reach}")) | {"settings_version": 5}
    stored["model"] = {name: own for name, own in stored["model"].items() if name not in ("bridges", "compression")}
    stored["model"]["stack_shortcut"] = reach == "stack"
    assert from_dict(stored) == config(f"bridges={reach}")
    assert to_dict(config(f"bridges={reach}").model)["bridges"] == reach


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ("bridges=net_sum", "task=reconstruction"),
            r"bridges=net_sum cannot be mirrored in a decoder: add bridges=unit",
        ),
        (("bridges=stack_sum", "widening=a5"), r"bridges=stack_sum sums outputs of the same width: add widening=none"),
        (("bridges=stack_concat", "model.compression=0"), r"model\.compression must be in \(0, 1\], got 0"),
        (("bridges=stack_concat", "model.compression=0.01"), r"model\.compression 0\.01 leaves no map between stacks"),
        (("unit=dense", "bottleneck=none", "cardinality=c8_64"), r"model\.cardinality groups a convolution between"),
        (("bridges=none", "stochastic_depth=paper"), r"rate needs shortcuts, got bridges=none: set it to 0"),
        (("bridges=net_concat", "attention=se", "model.attention.place=identity"), r"place=identity needs shortcuts"),
        (("unit=conv", "bottleneck=none"), r"unit=conv has no shortcuts: add shortcut=none"),
    ],
)
def test_what_does_not_fit_is_refused(changes: tuple[str, ...], message: str):
    with pytest.raises(ConfigError, match=message):
        config(*SMALL, *changes)
