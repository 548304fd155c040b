from collections.abc import Callable

import pytest
import torch
from support.scene import build, some_images

from resnet_lab.config.checks import ConfigError
from resnet_lab.inspect.replica import INNERMOST, intermediate, layer_names, replica, stages
from resnet_lab.model.resnet import ResNetV2


def test_a_twin_shares_weights_and_nothing_else(untouched: Callable[..., ResNetV2]):
    net = untouched()
    other = replica(net)
    images, _ = some_images(net)
    assert torch.equal(other(images), net(images))
    for (name, mine), theirs in zip(net.named_parameters(), other.parameters(), strict=True):
        assert mine.data_ptr() == theirs.data_ptr(), name
        assert not theirs.requires_grad
    other.train()(images)
    assert not torch.equal(other.stem.activation.norm.running_mean, net.stem.activation.norm.running_mean)


@pytest.mark.parametrize("kind", [(), ("bridges=stack", "head=latent"), ("activation=original", "stem=imagenet")])
def test_every_tensor_by_its_name(kind: tuple[str, ...]):
    net = build(*kind)
    images, _ = some_images(net)
    intermediates = net.intermediates(images)
    assert set(stages(net)) <= set(layer_names(net))
    assert set(layer_names(net)) - {INNERMOST} <= set(intermediates)
    for name, tensor in intermediates.items():
        assert torch.equal(intermediate(net, images, name), tensor)
    assert torch.allclose(intermediate(net, images, INNERMOST).mean(dim=(2, 3)), intermediates["features"], atol=1e-6)


def test_nothing_is_run_beyond_the_tensor():
    net = build()
    net.stacks[1].register_forward_pre_hook(lambda *_: pytest.fail("the second stack was run"))
    assert intermediate(net, some_images(net)[0], "stacks.0").shape == (6, 16, 16, 16)


def test_a_name_that_is_not_there():
    net = build()
    with pytest.raises(ConfigError, match=r"unknown layer stacks.7; choose from stem, .*stacks.1, .*innermost"):
        intermediate(net, some_images(net)[0], "stacks.7")
