"""Any combination of the axes is refused by a message, or is a network that works."""

from typing import Any

import naive
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.composing import config as load_config
from test_counts import count_by_hand

from resnet_lab import ResNetV2, complexity
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.groups import ARCHITECTURE_GROUPS, options
from resnet_lab.config.registry import SHORTCUTS
from resnet_lab.config.schema import ModelConfig
from resnet_lab.config.stored import from_dict, to_stored

pytestmark = pytest.mark.slow

SMALL_UNITS = [option for option in options("units") if option in ("n2", "n3", "r18", "r34")]


@st.composite
def overrides(draw: st.DrawFn) -> list[str]:
    chosen = [
        f"{group}={draw(st.sampled_from(SMALL_UNITS if group == 'units' else options(group)))}"
        for group in ARCHITECTURE_GROUPS
        if draw(st.booleans())
    ]
    values = {
        "model.filters": st.sampled_from(["[8]", "[12]", "[16,24]", "[16,16,32]", "[32,16,8]"]),
        "model.units": st.sampled_from(["[1]", "[2]", "[1,2]", "[2,1,3]", "[0]"]),
        "model.reduction": st.sampled_from(["[1]", "[2]", "[4,2,2]", "[3]"]),
        "model.attention.place": st.sampled_from(["standard", "pre", "post", "identity"]),
        "model.attention.bias": st.sampled_from(["true", "false"]),
        "model.compression": st.sampled_from(["0.5", "0.3", "0.1"]),
        "model.learned_scale": st.sampled_from(["0", "1"]),
        "model.stochastic_depth.rate": st.sampled_from(["0.2", "0.5"]),
        "model.stochastic_depth.per": st.sampled_from(["batch", "image"]),
        "model.unit_dropout": st.sampled_from(["0.2"]),
        "model.norm_groups": st.sampled_from(["1", "4", "8"]),
        "model.weight_standardisation": st.sampled_from(["true", "false"]),
        "model.stem.kernel": st.sampled_from(["1", "3", "5", "7", "4"]),
        "model.stem.stride": st.sampled_from(["1", "2"]),
        "model.stem.filters": st.sampled_from(["8", "16", "0"]),
        "model.head.hidden": st.sampled_from(["[]", "[5]", "[6,4]"]),
        "model.lineage.stride_on": st.sampled_from(["first", "spatial"]),
        "model.lineage.conv_bias": st.sampled_from(["true", "false"]),
        "model.lineage.init": st.sampled_from(["fan_in", "fan_out", "glorot"]),
        "model.kernels": st.sampled_from(["5", "[3]", "[4,2]", "[8,5,3]", "[1,5,1]"]),
        "data.image_size": st.sampled_from(["4", "8", "[16,11]", "33"]),
        "data.channels": st.sampled_from(["1", "2", "4"]),
        "data.num_classes": st.sampled_from(["1", "2", "11"]),
    }
    chosen += [f"{name}={draw(choices)}" for name, choices in values.items() if draw(st.integers(0, 3)) == 0]
    return ["data=fake", "data.image_size=16", "filters=w16", *chosen]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(overrides())
def test_any_combination_is_refused_or_works(tmp_path_factory: Any, combination: list[str]) -> None:
    torch.manual_seed(0)
    try:
        config = load_config(*combination)
        net = ResNetV2(config.model)
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1
        return
    images = torch.randn(4, *config.data.image_shape)
    logits = net.train()(images)
    assert logits.shape == (4, config.model.num_classes)
    assert logits.isfinite().all()

    (logits * torch.randn_like(logits)).sum().backward()
    unreached = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not unreached

    assert from_dict(to_stored(config)) == config
    path = tmp_path_factory.mktemp("checkpoint") / "net.pt"
    torch.save(net.state_dict(), path)
    replica = ResNetV2(from_dict(to_stored(config)).model)
    replica.load_state_dict(torch.load(path, weights_only=True))
    assert torch.equal(net.eval()(images), replica.eval()(images))

    cost = complexity(net, config.data.image_shape)
    assert cost.params == sum(p.numel() for p in net.parameters())
    assert not cost.uncounted
    if config.model.shortcut in naive.SHORTCUTS:
        expected = count_by_hand(config)
        assert {name: cost.totals()[name] for name in expected} == expected


@pytest.mark.parametrize("kind", SHORTCUTS)
def test_every_shortcut_is_an_option_and_has_a_class(kind: str) -> None:
    extra = ["bottleneck=none", "unit=basic"]
    config = load_config("data=fake", f"shortcut={kind}", *extra)
    assert config.model.shortcut == kind
    unit = ResNetV2(config.model).stacks[1].units[0]
    x = torch.randn(2, 64, 8, 8)
    assert unit(x).shape == (2, 128, 4, 4)


def test_model_config_defaults_are_the_yaml_defaults() -> None:
    config = load_config("data=fake")
    assert config.model == ModelConfig(in_channels=3, num_classes=10, image_size=config.data.image_size)
