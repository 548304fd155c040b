import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from support.scene import TASK, build, some_images
from torch import nn
from torch.nn import functional as F

from resnet_lab.inspect.flow import QUANTITIES, FlowProbe, flow
from resnet_lab.inspect.replica import parts
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.model.units import ResidualUnit

Untouched = Callable[..., ResNetV2]
KINDS = [
    (),
    ("unit=basic", "bottleneck=none", "shortcut=zero_pad"),
    ("unit=conv", "bottleneck=none", "shortcut=none"),
    ("activation=original",),
    ("activation=relu_only_preactivation", "stem=double", "head=mlp"),
    ("bridges=stack", "head=latent"),
    ("shortcut=exclusive_gating", "downsample=max_pool"),
    ("shortcut=constant_scaling", "norm=none"),
]


@pytest.mark.parametrize("kind", KINDS, ids=",".join)
def test_gradient_norms_equal_those_by_hand(kind: tuple[str, ...], untouched: Untouched):
    net = untouched(*kind)
    images, labels = some_images(net)
    found = flow(net, TASK, images, labels)
    other = build(*kind).train()
    loss = F.cross_entropy(other(images), labels)
    by_hand = []
    for part in parts(other).values():
        gradients = torch.autograd.grad(loss, list(part.parameters()), retain_graph=True)
        by_hand.append(math.sqrt(sum(float((g.double() ** 2).sum()) for g in gradients)))
    assert found.names == tuple(parts(other))
    np.testing.assert_allclose(found.gradient, by_hand, rtol=1e-4)


def test_signal_is_the_gradient_by_the_output(untouched: Untouched):
    net = untouched()
    images, labels = some_images(net)
    found = flow(net, TASK, images, labels)
    other = build().train()
    intermediates = other.intermediates(images)
    loss = F.cross_entropy(intermediates["logits"], labels)
    for name, signal in zip(found.names, found.signal, strict=True):
        (gradient,) = torch.autograd.grad(loss, intermediates["logits" if name == "head" else name], retain_graph=True)
        assert signal == pytest.approx(float(gradient.norm()), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS, ids=",".join)
def test_branch_shares_equal_a_naive_computation(kind: tuple[str, ...], untouched: Untouched):
    net = untouched(*kind)
    images, _ = some_images(net)
    found = dict(zip(*[(f := flow(net, TASK, images)).names, f.share], strict=True))
    other = build(*kind).train()
    x = other.stem(images)
    with torch.no_grad():
        for s, stack in enumerate(other.stacks):
            stack_input, x = x, stack.entry(x)
            for u, unit in enumerate(stack.units):
                branch = x
                for layer in unit.layers:
                    branch = layer.after(layer.conv(layer.before(branch.clone())))
                naive = float(branch.norm() / x.norm())
                assert found[f"stacks.{s}.units.{u}"] == pytest.approx(naive, rel=1e-4)
                x = unit(x)
            x = x if stack.bridge is None else x + stack.bridge(stack_input)
    assert math.isnan(found["stem"])
    assert math.isnan(found["head"])


def test_activations_weights_and_dead_maps(untouched: Untouched):
    net = build()
    with torch.no_grad():
        net.stem.activation.norm.bias[:4] = -100  # four of sixteen maps never reach the ReLU's positive side
    images, _ = some_images(net)
    found = flow(net, TASK, images)
    intermediates = net.train().intermediates(images)
    outputs = [intermediates["logits" if name == "head" else name] for name in found.names]
    np.testing.assert_allclose(found.mean, [float(out.detach().mean()) for out in outputs], atol=1e-4)
    np.testing.assert_allclose(found.std, [float(out.detach().std(correction=0)) for out in outputs], rtol=1e-4)
    assert found.dead[0] == 25
    weights = [[m.weight for m in p.modules() if isinstance(m, nn.Conv2d | nn.Linear)] for p in parts(net).values()]
    by_hand = [math.sqrt(sum(float((w.detach() ** 2).sum()) for w in ws)) for ws in weights]
    np.testing.assert_allclose(found.weight, by_hand, rtol=1e-5)


def test_a_unit_that_is_the_identity_has_no_branch():
    net = build()
    unit = net.stacks[0].units[1]
    nn.init.zeros_(unit.layers[-1].conv.weight)
    found = flow(net, TASK, some_images(net)[0])
    assert found.share[found.names.index("stacks.0.units.1")] == 0


def test_without_labels_nothing_flows_back(untouched: Untouched):
    net = untouched("head=latent")
    found = flow(net, TASK, some_images(net)[0])
    assert np.isnan(found.gradient).all()
    assert np.isnan(found.signal).all()
    assert np.isfinite(found.std).all()


def test_the_network_is_as_before_when_an_exception_falls_in_between(untouched: Untouched):
    net = untouched("shortcut=dropout")
    images, labels = some_images(net)
    probe = FlowProbe(net, TASK)
    with pytest.raises(IndexError):
        probe(images, labels + 100)
    with pytest.raises(RuntimeError):
        probe(images[:, :1], labels)
    again = probe(images, labels)
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(getattr(again, quantity), getattr(flow(net, TASK, images, labels), quantity))


def test_a_probe_sees_the_network_as_it_is_now():
    net = build()
    images, labels = some_images(net)
    probe = FlowProbe(net, TASK)
    before = probe(images, labels)
    with torch.no_grad():
        for p in net.stacks[1].parameters():
            p.mul_(2)
    after = probe(images, labels)
    np.testing.assert_array_equal(after.gradient, flow(net, TASK, images, labels).gradient)
    assert not np.array_equal(after.gradient, before.gradient)


def test_stochastic_depth_drops_no_branch():
    net = build("stochastic_depth=timm", "model.stochastic_depth.rate=0.99", "model.stochastic_depth.over=constant")
    images, labels = some_images(net)
    found, plain = flow(net, TASK, images, labels), flow(build(), TASK, images, labels)
    for quantity in QUANTITIES:
        np.testing.assert_allclose(getattr(found, quantity), getattr(plain, quantity), rtol=1e-5)
    assert net.training is build("stochastic_depth=timm").training


@pytest.mark.parametrize("bridges", ["stack", "stack_sum", "net_sum", "stack_concat"])
def test_every_unit_is_a_part(bridges: str):
    net = build(f"bridges={bridges}")
    units = [module for module in net.modules() if isinstance(module, ResidualUnit)]
    found = parts(net)
    assert [part for part in found.values() if isinstance(part, ResidualUnit)] == units
    counted = sum(p.numel() for part in found.values() for p in part.parameters())
    assert counted == sum(p.numel() for p in net.parameters())
