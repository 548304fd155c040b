"""Encoder and decoder: equality with a naive decoder, the encoder of a classifier, the mirror, exact counts."""

import math
from dataclasses import replace
from typing import Any

import naive_decoder
import pytest
import torch
from support.composing import config as load
from test_equality import randomised

from resnet_lab.config.canonical import canonical
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.groups import options
from resnet_lab.config.stored import to_dict
from resnet_lab.model.autoencoder import Autoencoder
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.tasks.base import task_of
from resnet_lab.tasks.cost import measure, parts, totals

SMALL = ["task=reconstruction", "data=fake", "data.channels=2", "data.image_size=[13,10]", "filters=w8", "units=n2"]
FLAT = ["head=latent_flat", "model.head.latent_dim=5"]
BASIC = ["unit=basic", "bottleneck=none"]
ENLARGING = options("upsample")
CASES = [
    *([*FLAT, f"upsample={u}", f"activation={a}"] for u in ENLARGING for a in options("activation")),
    *([*FLAT, f"upsample={u}", "stem=imagenet", "data.image_size=29", "stacks=two"] for u in ENLARGING),
    *(
        [*FLAT, f"upsample={u}", "stem=double", "model.stem.stride=3", "data.image_size=31"]
        for u in options("upsample")
    ),
    *([*FLAT, f"shortcut={s}", *BASIC, "model.stem.filters=8"] for s in options("shortcut")),
    *(
        [*FLAT, f"shortcut={s}", "resize=zero_pad", "upsample=bilinear", "model.stem.filters=8"]
        for s in options("shortcut")
    ),
    *([f"head={head}"] for head in options("head")),
    *([*FLAT, f"lineage={lineage}", "bridges=stack", "downsample=max_pool"] for lineage in options("lineage")),
    *([*FLAT, "decoder=plain", f"upsample={u}"] for u in options("upsample")),
    *([*FLAT, "stem=deep", "shortcut_pool=on", f"upsample={u}", "data.image_size=21"] for u in options("upsample")),
    [*FLAT, "model.decoder.filters=[12,20,4]", "model.decoder.units=[1,3,2]", "model.decoder.reduction=[4,2,1]"],
    [
        *FLAT,
        "decoder=plain",
        "model.decoder.units=[2]",
        "model.decoder.activation=original",
        "model.decoder.unit=basic",
    ],
    [*FLAT, "model.decoder.unit=basic", "model.decoder.reduction=1", "model.decoder.shortcut=conv"],
    [*FLAT, "model.head.hidden=[7,6]", "norm=none"],
    *([*FLAT, f"norm={norm}", "model.norm_groups=2", "activation=original"] for norm in options("norm")),
    *([*FLAT, f"nonlinearity={f}"] for f in options("nonlinearity")),
    *(
        [*FLAT, "model.weight_standardisation=true", f"upsample={u}", "activation=original"]
        for u in options("upsample")
    ),
    [*FLAT, "model.nonlinearity=none", "model.lineage.stride_on=spatial", "model.projection_kernel=3"],
]


@pytest.mark.slow
@pytest.mark.parametrize("overrides", CASES, ids=",".join)
def test_equals_the_naive_decoder(overrides: list[str]):
    train = "shortcut=dropout" not in overrides
    config = load(*SMALL, *overrides)
    net = randomised(config).train(train)
    assert isinstance(net, Autoencoder)
    weights = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    named = {name: p for name, p in net.named_parameters() if name.startswith("decoder.")}
    weights |= {name: p.detach().clone().requires_grad_(True) for name, p in named.items()}
    latent = net.encode(torch.randn(4, *config.data.image_shape, dtype=torch.float64)).detach()

    ours = net.decode(latent)
    theirs = naive_decoder.decode(to_dict(config.model), weights, latent, config.model.map_sizes, train)
    assert ours.shape == theirs.shape == (4, *config.data.image_shape)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)

    direction = torch.randn_like(ours)
    (ours * direction).sum().backward()
    (theirs * direction).sum().backward()
    for name, parameter in named.items():
        expected = weights[name].grad
        assert expected is not None, name
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-7, atol=1e-9 * expected.abs().max().item() + 1e-12)


@pytest.mark.parametrize("head", ["latent", "latent_flat", "latent_map"])
def test_the_encoder_is_the_classifier_without_its_last_layer(head: str):
    classifier = ResNetV2(load(*SMALL, "task=classification", f"head={head}").model).eval()
    net = Autoencoder(load(*SMALL, f"head={head}").model).eval()
    theirs, ours = classifier.state_dict(), net.state_dict()
    encoder = {name for name in ours if not name.startswith("decoder.")}
    assert encoder == {name for name in theirs if not name.startswith("head.classifier")}
    assert all(ours[name].shape == theirs[name].shape for name in encoder)
    net.load_state_dict(theirs, strict=False)
    images = torch.randn(2, 2, 13, 10)
    assert torch.equal(net.encode(images), classifier.intermediates(images)["latent"])


@pytest.mark.parametrize("upsample", options("upsample"))
@pytest.mark.parametrize(
    "changes", [[], ["stem=imagenet", "data.image_size=61"], ["stacks=five", "data.image_size=37"]]
)
def test_the_decoder_mirrors_the_shapes_of_the_encoder(upsample: str, changes: list[str]):
    config = load(*SMALL, *FLAT, f"upsample={upsample}", "model.units=[3]", *changes)
    net = Autoencoder(config.model).eval()
    images = torch.randn(1, *config.data.image_shape)
    found = net.intermediates(images)
    last = config.model.num_stacks - 1
    for s in range(last + 1):
        assert found[f"decoder.stacks.{last - s}"].shape == found[f"stacks.{s}"].shape
    assert found["decoder.entry"].shape == found["innermost"].shape
    assert found["outputs"].shape == images.shape
    assert torch.equal(found["outputs"], net(images))
    for s in range(last + 1):  # all units of a stack but the first
        theirs, ours = net.stacks[s].units[1:], net.decoder.stacks[last - s].units[1:]
        assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]


def test_params_and_macs_of_a_decoder_counted_by_hand():
    """Maps of 4x4, 7x7 and 13x13 (of 14x14), 16 → 8 → 4 filters; basic units with one shortcut where maps change."""
    names = ["data.image_size=13", "filters=w4", "units=n1", "stem=cifar", "model.stem.filters=4", *BASIC, *FLAT]
    for upsample, first in {
        # Maps of the convolution with stride 2 from n to m maps, and of the projection: params, MACs of a position.
        "nearest": lambda n, m, small, large: (9 * n * m, 9 * n * m * large, n * m, n * m * small),
        "transposed": lambda n, m, small, large: (16 * n * m, 16 * n * m * small, 4 * n * m, 4 * n * m * small),
        "pixel_shuffle": lambda n, m, small, large: (36 * n * m, 36 * n * m * small, 4 * n * m, 4 * n * m * small),
    }.items():
        config = load(*SMALL, *names, f"upsample={upsample}")
        params, macs = 5 * 256 + 256 + 2 * 16, 5 * 256  # linear layer with bias, BatchNorm
        params, macs = params + 2 * 9 * 16 * 16 + 2 * 16, macs + 2 * 9 * 16 * 16 * 16  # stack 0: no first BatchNorm
        for n, m, small, large in ((16, 8, 16, 49), (8, 4, 49, 169)):
            counts = first(n, m, small, large)
            params += 2 * n + counts[0] + 2 * m + 9 * m * m + counts[2]
            macs += counts[1] + 9 * m * m * large + counts[3]
        params, macs = params + 2 * 4 + 9 * 4 * 2 + 2, macs + 9 * 4 * 2 * 169  # BatchNorm, last convolution with bias
        found = parts(config, measure(config))["decoder"]
        assert (found["params"], found["macs"], found["depth"]) == (params, macs, 1 + 6 + 1), upsample


@pytest.mark.parametrize("changes", [[], ["upsample=transposed", "decoder=plain"], ["task=vae", "head=latent_map"]])
def test_encoder_and_decoder_add_up(changes: list[str]):
    config = load(*SMALL, *FLAT, "units=n5", *changes)
    cost = measure(config)
    both = parts(config, cost)
    for name in ("depth", "params", "macs", "activations"):
        assert sum(own[name] for own in both.values()) == getattr(cost, name)
    assert totals(config) == {name: getattr(cost, name) for name in ("macs", "params", "activations")}
    classifier = measure(load(*SMALL, *FLAT, "units=n5", *[c for c in changes if "head" in c], "task=classification"))
    if "task=vae" not in changes:
        ours = config.data.num_classes * (config.model.latent_dim + 1)
        assert both["encoder"]["params"] == classifier.params - ours
    assert both["encoder"]["depth"] == classifier.depth - 1
    assert cost.receptive_field == classifier.receptive_field
    assert not cost.uncounted


def test_what_mirrors_the_encoder_is_the_same_run_if_it_is_spelled_out():
    named = load(*SMALL, *FLAT, "model.units=[1,2,3]", "model.decoder.units=[3,2,1]", "model.decoder.filters=[32,16,8]")
    assert canonical(named) == canonical(load(*SMALL, *FLAT, "model.units=[1,2,3]"))
    plain = ["model.decoder.unit=conv", "model.decoder.reduction=1", "model.decoder.shortcut=none"]
    assert canonical(load(*SMALL, *FLAT, "decoder=plain", *plain)) == canonical(load(*SMALL, *FLAT, "decoder=plain"))
    without = canonical(load(*SMALL, *FLAT, "task=classification"))
    assert not [name for name in without if name.startswith(("model.decoder", "reconstruction", "vae"))]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.decoder.units=[1,2]", r"the decoder: model\.decoder\.units must have one entry or one for each"),
        ("model.decoder.reduction=3", r"the decoder: model\.decoder\.filters 32 is not divisible by model\.decoder\."),
        (
            "model.decoder.unit=conv",
            r"the decoder: model\.decoder\.unit=conv has no bottleneck: add model\.decoder\.reduction=1 \(",
        ),
        ("model.decoder.unit=triangle", r"^model\.decoder\.unit can be bottleneck, .*; got triangle"),
        ("model.decoder.shortcut=foo", r"^model\.decoder\.shortcut can be projection, .*; got foo"),
        ("model.image_size=5", r"model\.image_size follow data\.dims, data\.channels"),
        ("upsample=cubic", "cubic"),
        ("data.corrupt.amount=-1", r"data\.corrupt\.amount must be at least 0"),
    ],
)
def test_a_wrong_decoder_is_refused(change: str, message: str):
    with pytest.raises(ConfigError, match=message) as refused:
        load(*SMALL, *FLAT, change)
    assert len(str(refused.value).splitlines()) == 1


def test_a_latent_layer_on_all_positions_needs_their_number():
    model = load(*SMALL, *FLAT, "task=classification").model
    with pytest.raises(ConfigError, match=r"model\.image_size is needed"):
        ResNetV2(replace(model, image_size=None))


@pytest.mark.parametrize("upsample", options("upsample"))
def test_enlarged_maps_keep_the_scale_of_their_input(upsample: str):
    """He's initialisation: the variance of a linear network's maps stays within a factor of a few."""
    torch.manual_seed(0)
    config = load(*SMALL, *FLAT, f"upsample={upsample}", "filters=w64", "model.lineage.init=fan_in", *BASIC)
    layer = Autoencoder(config.model).decoder.stacks[1].units[0].layers[0].conv
    x: Any = torch.randn(8, layer_maps(layer), 7, 5).relu() * math.sqrt(2)
    assert 0.3 < layer(x).var().item() / 2 < 3


def layer_maps(layer: Any) -> int:
    return next(part.in_channels for part in layer.modules() if hasattr(part, "in_channels"))


def test_tasks_build_their_networks():
    for task in ("reconstruction", "vae"):
        assert isinstance(task_of(load(*SMALL, *FLAT, f"task={task}")).network(), Autoencoder)
