"""What the network computes."""

import pytest
import torch
from support.composing import config as load_config
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lab import ResNetV2
from resnet_lab.model.units import ResidualUnit

BASIC = ["unit=basic", "bottleneck=none", "filters=w16"]
KINDS = [
    ["units=n2"],
    [*BASIC, "shortcut=zero_pad"],
    [*BASIC],
    ["stem=imagenet", "stacks=four", "data.image_size=64", "head=mlp", "model.units=[1,2,1,1]"],
    ["data.channels=2", "data.image_size=[12,17]", "data.num_classes=3", "shortcut=zero_pad", "bottleneck=half"],
]


def build(*overrides: str) -> tuple[ResNetV2, Tensor]:
    config = load_config("data=fake", *overrides)
    torch.manual_seed(0)
    return ResNetV2(config.model), torch.randn(3, *config.data.image_shape)


@pytest.mark.parametrize("overrides", KINDS)
def test_logits_and_gradients(overrides: list[str]) -> None:
    net, images = build(*overrides)
    logits = net(images)
    assert logits.shape == (3, net.config.num_classes)
    F.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("overrides", KINDS)
def test_a_unit_whose_last_convolution_is_zero_is_the_identity(overrides: list[str]) -> None:
    net, images = build(*overrides)
    intermediates = net.intermediates(images)
    for stack_index, stack in enumerate(net.stacks):
        for index, unit in enumerate(stack.units):
            if index == 0:
                continue
            nn.init.zeros_(unit.layers[-1].conv.weight)
            x = intermediates[f"stacks.{stack_index}.units.{index - 1}"]
            assert torch.equal(unit(x), x)


def test_intermediates_are_the_tensors_of_the_forward_pass() -> None:
    net, images = build("units=n3", "head=mlp")
    net.eval()
    intermediates = net.intermediates(images)
    units = {f"stacks.{s}.units.{u}" for s in range(3) for u in range(3)}
    assert set(intermediates) == {"stem", "innermost", "features", "logits", "stacks.0", "stacks.1", "stacks.2"} | units
    assert torch.equal(intermediates["logits"], net(images))
    assert torch.equal(intermediates["stem"], net.stem(images))
    assert torch.equal(intermediates["stacks.1.units.2"], intermediates["stacks.1"])
    assert torch.equal(intermediates["stacks.0.units.1"], net.stacks[0].units[1](intermediates["stacks.0.units.0"]))
    assert torch.equal(net.head.classifier(net.head.hidden(intermediates["features"])), intermediates["logits"])
    assert not any(module._forward_hooks for module in net.modules())


def test_the_latent_vector_is_what_the_classifier_is_given() -> None:
    net, images = build("units=n2", "head=latent", "model.head.latent_dim=5")
    intermediates = net.eval().intermediates(images)
    latent = intermediates["latent"]
    assert latent.shape == (3, 5)
    assert torch.equal(net.head.latent(intermediates["features"]), latent)
    assert torch.equal(net.head.classifier(latent), net(images))


def test_the_stem_activates_and_so_the_first_unit_does_not() -> None:
    net, _ = build("units=n2")
    first, second = (unit for unit in net.stacks[0].units)
    assert isinstance(first, ResidualUnit)
    assert len(first.layers[0].before) == 0
    assert len(second.layers[0].before) == 2


def test_initialisation_is_he_fan_out() -> None:
    net, _ = build("units=n2", "filters=w256")
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 10_000:
            expected = (2 / (module.kernel_size[0] ** 2 * module.out_channels)) ** 0.5
            assert module.weight.std().item() == pytest.approx(expected, rel=0.05), name
            assert module.bias is None
    assert not net.head.classifier.bias.any()


def test_built_on_another_device_and_in_the_seed_s_hands() -> None:
    (one, _), (other, _) = build("units=n2"), build("units=n2")
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    with torch.device("meta"):
        assert next(ResNetV2(one.config).parameters()).is_meta
