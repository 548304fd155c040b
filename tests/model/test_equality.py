"""The network is the papers' function: equal to a naive second implementation, in values and in gradients."""

import naive
import pytest
import torch
from support.composing import config as load_config
from torch import nn

from resnet_lab import ResNetV2
from resnet_lab.config.groups import options
from resnet_lab.config.model_enums import AttentionPlace, DropOver, DropRescale
from resnet_lab.config.schema import Config
from resnet_lab.config.stored import to_dict
from resnet_lab.model.convolutions import convolution
from resnet_lab.tasks.base import task_of

pytestmark = pytest.mark.slow

SMALL = ["data=fake", "data.image_size=[16,13]", "filters=w16", "units=n2"]
BASIC = ["unit=basic", "bottleneck=none"]

DEPTH = "model.stochastic_depth"
RANDOM = {
    "shortcut=dropout": "model.shortcut_dropout",
    f"{DEPTH}.rate=0.5": f"{DEPTH}.rate",
    "stochastic_depth=paper": f"{DEPTH}.rate",
    "model.unit_dropout=0.3": "model.unit_dropout",
}

ACTIVATIONS = ("full_preactivation", "original")
SUMS = ("stack_sum", "net_sum", "stack_concat")
CASES = [
    *([f"activation={a}", *kind] for a in options("activation") for kind in ([], BASIC)),
    *([f"lineage={lineage}", f"activation={a}"] for lineage in options("lineage") for a in options("activation")),
    *([f"lineage={lineage}", *BASIC, "shortcut=zero_pad"] for lineage in options("lineage")),
    *([f"shortcut={s}", *BASIC] for s in options("shortcut")),
    *([f"shortcut={s}", "resize=zero_pad", "activation=original"] for s in options("shortcut")),
    *([f"shortcut={s}", "lineage=atienza", "bridges=stack"] for s in options("shortcut")),
    *([f"stem={s}", "data.image_size=64", "stacks=four"] for s in options("stem")),
    *([f"head={h}", "bridges=stack"] for h in options("head")),
    *(["unit=conv", "shortcut=none", "bottleneck=none", f"activation={a}"] for a in options("activation")),
    *(["unit=conv", "shortcut=none", "bottleneck=none", f"downsample={d}", "norm=none"] for d in options("downsample")),
    ["downsample=max_pool", "bridges=stack"],
    ["norm=none", "shortcut=exclusive_gating"],
    ["norm=none", "activation=original", "bridges=stack"],
    ["model.lineage.stride_on=spatial", "model.lineage.projection_input=raw", "model.lineage.norm_eps=0.1"],
    ["model.stem.kernel=5", "model.stem.stride=2", "model.filters=[8,20,12]", "model.units=[1,3,2]", "bottleneck=half"],
    ["model.stem.kernel=1", "model.head.hidden=[7,5]", "model.head.latent_dim=3"],
    ["model.head.latent_layer=flat", "model.head.latent_dim=3", "model.head.hidden=[6]", "data.image_size=[11,14]"],
    ["model.nonlinearity=none", "head=mlp"],
    *(
        [f"norm={norm}", "model.norm_groups=4", f"activation={a}"]
        for norm in ("group", "layer")
        for a in options("activation")
    ),
    *([f"nonlinearity={f}", "stem=double", "model.head.hidden=[5]"] for f in options("nonlinearity")),
    ["model.weight_standardisation=true", "norm=group", "model.norm_groups=4"],
    ["model.weight_standardisation=true", "shortcut=exclusive_gating", "bridges=stack", "stem=double"],
    ["model.nonlinearity=none", "norm=none", "activation=original"],
    *(
        ["attention=se", f"model.attention.place={place.name}", "model.attention.reduction=4", *more]
        for place in AttentionPlace
        for more in (
            ["lineage=atienza"],
            ["activation=original", "model.attention.bias=true"],
            ["shortcut=zero_pad", *BASIC],
        )
    ),
    *(["attention=se", "model.attention.place=identity", f"shortcut={s}"] for s in ("conv", "exclusive_gating")),
    *(["model.learned_scale=0.5", "attention=se", f"activation={a}"] for a in options("activation")),
    ["cardinality=c8_14", "filters=w64", "bottleneck=quarter"],
    [
        "cardinality=c2_40",
        "activation=original",
        "model.lineage.stride_on=spatial",
        "model.weight_standardisation=true",
    ],
    *(
        [
            "model.stochastic_depth.rate=0.5",
            f"model.stochastic_depth.over={over.name}",
            f"model.stochastic_depth.rescale={r.name}",
        ]
        for over in DropOver
        for r in DropRescale
    ),
    *(
        ["shortcut_pool=on", f"shortcut={s}", f"activation={a}"]
        for s in ("projection", "zero_pad")
        for a in ACTIVATIONS
    ),
    *(["shortcut_pool=on", f"shortcut={s}", "resize=zero_pad"] for s in ("conv", "exclusive_gating", "dropout")),
    ["widening=a7", "activation=norm_first", "shortcut=zero_pad", "shortcut_pool=on", *BASIC],
    ["widening=a5", "activation=norm_first", "shortcut=zero_pad", "shortcut_pool=on", "lineage=torch"],
    ["widening=a9", "units=n3", "shortcut=projection", "model.stem.filters=8"],
    ["activation=norm_first", "stem=deep", "data.image_size=32", "attention=se"],
    ["stem=deep", "data.image_size=64", "stacks=four", "shortcut_pool=on", "lineage=torch"],
    ["model.unit_dropout=0.3", "activation=original"],
    *(
        [f"downsample={d}", f"activation={a}", *kind, f"shortcut={s}"]
        for d in ("blur", "blur_branch")
        for a in options("activation")
        for kind, s in (([], "projection"), (BASIC, "zero_pad"), (["unit=conv", "bottleneck=none"], "none"))
    ),
    ["downsample=blur", "stem=imagenet", "data.image_size=64", "lineage=torch", "activation=original"],
    ["downsample=blur", "shortcut_pool=on", "shortcut=exclusive_gating", "lineage=torch"],
    *(
        [f"bridges={b}", f"activation={a}", "model.units=[2,1,3]"]
        for b in options("bridges")
        for a in options("activation")
    ),
    *([f"bridges={b}", *BASIC, "model.stem.filters=12", "lineage=atienza"] for b in options("bridges")),
    *([f"bridges={b}", "downsample=max_pool", "stacks=four", "data.image_size=[19,30]"] for b in options("bridges")),
    *([f"bridges={b}", "model.filters=[16,16,16]", *BASIC, "attention=se"] for b in options("bridges")),
    *([f"bridges={b}", "model.learned_scale=0.5", "stochastic_depth=paper"] for b in SUMS),
    *([f"bridges={b}", "norm=none", "model.weight_standardisation=true", "head=mlp"] for b in SUMS),
    *([f"bridges={b}", "unit=dense", "bottleneck=none", "cardinality=c1_256", "stem=conv"] for b in options("bridges")),
    *(
        ["unit=dense", "lineage=torch", f"bridges={b}", f"downsample={d}"]
        for b in ("unit", "net_sum")
        for d in options("downsample")
    ),
    ["bridges=stack_concat_half", "widening=a13", *BASIC, "head=latent_flat"],
    *(
        ["stem=conv", "model.stem.filters=12", f"activation={a}", *kind]
        for a in options("activation")
        for kind in ([], BASIC)
    ),
    *(["stem=conv", *BASIC, f"activation={a}", f"shortcut={s}"] for a in ACTIVATIONS for s in ("projection", "conv")),
    *([f"stem={s}", "model.stem.activation=false", "data.image_size=32"] for s in ("deep", "double", "imagenet")),
    ["stacks=five", "data.image_size=32", "model.units=[1,2,1,1,2]", "bottleneck=eighth"],
    ["shortcut=conv", "activation=relu_only_preactivation"],
    *(["model.projection_kernel=3", f"shortcut={s}", "activation=original"] for s in ("projection", "dropout")),
    *(["model.projection_kernel=5", f"lineage={lineage}", "shortcut=conv"] for lineage in ("he", "atienza")),
]


def randomised(config: Config) -> nn.Module:
    """The network in float64 with random BatchNorm parameters and statistics, and biases."""
    torch.manual_seed(0)
    net = task_of(config).network().double()
    for name, tensor in net.state_dict().items():
        if "running_var" in name or name.endswith("norm.weight"):
            tensor.uniform_(0.5, 1.5)
        elif "running_mean" in name or name.endswith("bias"):
            tensor.normal_(0, 0.3)
    return net


@pytest.mark.parametrize("overrides", CASES, ids=",".join)
def test_equals_the_naive_implementation(overrides: list[str]) -> None:
    assert_equal(load_config(*SMALL, *overrides), train=False)
    constant = [f"{name}=0" for given, name in RANDOM.items() if given in overrides]  # chance is tested elsewhere
    assert_equal(load_config(*SMALL, *overrides, *constant), train=True)


def assert_equal(config: Config, train: bool) -> None:
    """In outputs and gradients, as trained or as applied."""
    if config.model.shortcut not in naive.SHORTCUTS:
        pytest.skip("write it out in naive.py")
    net = randomised(config).train(train)
    weights = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    for name, parameter in net.named_parameters():
        weights[name] = parameter.detach().clone().requires_grad_(True)
    images = torch.randn(4, *config.data.image_shape, dtype=torch.float64)
    model = to_dict(config.model)
    if model["shortcut"] == "dropout" and train:
        model |= {"shortcut": "constant_scaling", "shortcut_scale": 1, "residual_scale": 1}

    ours, theirs = net(images), naive.forward(model, weights, images, train)
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)

    direction = torch.randn_like(ours)
    (ours * direction).sum().backward()
    (theirs * direction).sum().backward()
    for name, parameter in net.named_parameters():
        assert weights[name].grad is not None, name
        scale = weights[name].grad.abs().max().item()
        torch.testing.assert_close(parameter.grad, weights[name].grad, rtol=1e-7, atol=1e-8 * scale + 1e-12)


@pytest.mark.parametrize("maps", range(1, 9))
def test_narrow_convolutions_with_a_stride_leave_foreign_memory_alone(maps: int) -> None:
    """torch's own 1x1 convolution of fewer than 8 maps, in channels-last layout, ends the process on some CPUs."""
    torch.manual_seed(0)
    conv = convolution(2, maps, 12, kernel=1, stride=2, bias=False)
    images = torch.randn(16, maps, 9, 8)
    conv(images).square().sum().backward()
    expected, conv.weight.grad = conv.weight.grad, None
    assert expected is not None
    for _ in range(20):
        conv.zero_grad()
        conv(images.to(memory_format=torch.channels_last).requires_grad_()).square().sum().backward()
        torch.testing.assert_close(conv.weight.grad, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(conv(images).detach(), nn.Conv2d.forward(conv, images))


@pytest.mark.parametrize("lineage", options("lineage"))
def test_running_statistics_follow_the_lineage_s_momentum(lineage: str) -> None:
    config = load_config(*SMALL, f"lineage={lineage}")
    net = ResNetV2(config.model).double().train()
    images = torch.randn(4, *config.data.image_shape, dtype=torch.float64)
    before = net.stem.conv(images)
    net(images)
    momentum = {"he": 0.1, "torch": 0.1, "atienza": 0.01, "keras": 0.01}[lineage]
    torch.testing.assert_close(net.stem.activation.norm.running_mean, momentum * before.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(
        net.stem.activation.norm.running_var, 1 - momentum + momentum * before.var(dim=(0, 2, 3))
    )


def test_dropout_drops_its_share_of_the_shortcut_and_only_in_training() -> None:
    config = load_config(*SMALL, "shortcut=dropout", "model.shortcut_dropout=0.3")
    unit = ResNetV2(config.model).stacks[0].units[1]
    nn.init.zeros_(unit.layers[-1].conv.weight)
    x = torch.ones(50, 16, 8, 8)
    assert torch.equal(unit.eval()(x), x)
    out = unit.train()(x)
    kept = out != 0
    assert abs(kept.float().mean().item() - 0.7) < 0.01
    assert torch.allclose(out[kept], torch.tensor(1 / 0.7))
