"""Networks in one dimension: the published baseline, and equality with images of one row."""

from dataclasses import replace

import pytest
import torch
from support.composing import config as load_config
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lab import ResNetV2, complexity
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.groups import options
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.registry import SHORTCUTS, UNITS
from resnet_lab.model.autoencoder import Autoencoder

pytestmark = pytest.mark.slow

SERIES = [
    "data=fake",
    "data.dims=1",
    "data.channels=3",
    "data.image_size=37",
    "augment=none",
    "filters=w16",
    "units=n2",
]
BASIC = ["unit=basic", "bottleneck=none"]


def baseline(channels: int, classes: int) -> ModelConfig:
    """The network of +experiment=ucr_resnet."""
    shape = [f"data.channels={channels}", "data.image_size=50", f"data.num_classes={classes}"]
    return load_config("+experiment=ucr_resnet", *shape).model


# Facts on arXiv:1611.06455, whose code builds these networks: params and MACs.
@pytest.mark.parametrize(
    ("channels", "length", "classes", "params", "millions"),
    [(1, 150, 2, 504_258, 75.0), (1, 251, 3, 504_387, 125.6), (6, 100, 4, 507_396, 50.3), (1, 100, 37, 508_773, 50.0)],
)
def test_the_baseline_has_its_published_size(channels: int, length: int, classes: int, params: int, millions: float):
    cost = complexity(ResNetV2(baseline(channels, classes)).eval(), (channels, length))
    assert (cost.params, round(cost.macs / 1e6, 1), cost.depth) == (params, millions, 10)


class Baseline(nn.Module):
    """The network of arXiv:1611.06455, from its description."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.blocks, self.shortcuts = nn.ModuleList(), nn.ModuleList()
        for before, after in ((channels, 64), (64, 128), (128, 128)):
            layers: list[nn.Module] = []
            for index, kernel in enumerate((8, 5, 3)):
                maps = after if index else before
                layers += [nn.Conv1d(maps, after, kernel, padding="same"), nn.BatchNorm1d(after, 1e-3, 0.01), nn.ReLU()]
            self.blocks.append(nn.Sequential(*layers[:-1]))
            norm = nn.BatchNorm1d(after, 1e-3, 0.01)
            self.shortcuts.append(norm if before == after else nn.Sequential(nn.Conv1d(before, after, 1), norm))
        self.last = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        for block, shortcut in zip(self.blocks, self.shortcuts, strict=True):
            x = torch.relu(block(x) + shortcut(x))
        return self.last(x.mean(dim=2))


@pytest.mark.parametrize("length", [24, 31, 150])
def test_the_baseline_equals_a_second_implementation(length: int):
    torch.manual_seed(0)
    net, other = ResNetV2(baseline(2, 5)).double(), Baseline(2, 5).double()
    ours = dict(net.named_parameters())
    for s in range(3):
        unit = f"stacks.{s}.units.0"
        for index in range(3):
            for part, at in (("conv", 0), ("after.norm", 1)):
                for name in ("weight", "bias"):
                    theirs = other.blocks[s][3 * index + at].get_parameter(name)
                    ours[f"{unit}.layers.{index}.{part}.{name}"].data.copy_(theirs)
        for place, theirs in other.shortcuts[s].named_parameters():
            ours[f"{unit}.shortcut.path.{place if s < 2 else f'norm.{place}'}"].data.copy_(theirs)
    for name in ("weight", "bias"):
        ours[f"head.classifier.{name}"].data.copy_(other.last.get_parameter(name))
    x = torch.randn(7, 2, length, dtype=torch.float64)
    labels = torch.randint(5, (7,))
    gradients = []
    for module in (net.train(), other.train()):
        loss = F.cross_entropy(module(x), labels)
        gradients.append(sorted(float(g.norm()) for g in torch.autograd.grad(loss, list(module.parameters()))))
    torch.testing.assert_close(*map(torch.tensor, gradients))
    torch.testing.assert_close(net.eval()(x), other.eval()(x))  # with equal running averages, after the step


def as_rows(series: nn.Module, images: nn.Module) -> None:
    """Give a network of images the weights of one of series, in the row of each kernel that images of one row meet."""
    given = series.state_dict()
    for name, module in images.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            kernel = module.kernel_size[0]
            transposed = isinstance(module, nn.ConvTranspose2d)
            row = (kernel - module.stride[0]) // 2 if transposed else (kernel - 1) // 2
            weight = torch.zeros_like(module.weight)
            weight[:, :, row] = given[f"{name}.weight"]
            given[f"{name}.weight"] = weight
    images.load_state_dict(given)


CASES = [
    *([f"shortcut={s}", *BASIC] for s in SHORTCUTS if s != "dropout"),
    *([f"bridges={b}", "norm=layer"] for b in options("bridges")),
    *([f"stem={s}", "stacks=two"] for s in options("stem")),
    *([f"unit={unit}", "bottleneck=none"] for unit in ("basic", "triple", "dense", "series")),
    *([f"activation={a}", "model.kernels=[4,5]", *BASIC] for a in options("activation")),
    *([f"downsample={d}", "shortcut=zero_pad"] for d in ("stride", "max_pool", "none")),
    *([f"head={head}", "attention=se", f"model.attention.place={p}"] for head, p in zip(
        ("linear", "mlp", "latent", "latent_map"), ("standard", "pre", "post", "identity"), strict=True)),
    ["cardinality=c2_64", "norm=group", "model.norm_groups=4", "shortcut_pool=on", "nonlinearity=gelu"],
    ["widening=a12", "activation=norm_first", "shortcut=zero_pad"],
    ["norm=none", "model.learned_scale=0.5", "lineage=keras"],
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_series_are_images_of_one_row(case: list[str]):
    config = load_config(*SERIES, *case)
    net = ResNetV2(config.model).double()
    rows = ResNetV2(replace(config.model, dims=2, image_size=[1, 37])).double()
    as_rows(net, rows)
    x = torch.randn(3, 3, 37, dtype=torch.float64)
    for training in (True, False):
        torch.testing.assert_close(net.train(training)(x), rows.train(training)(x[:, :, None]))
    cost = complexity(net.eval(), (3, 37))
    assert cost.params == sum(p.numel() for p in net.parameters())
    assert not cost.uncounted


@pytest.mark.parametrize("upsample", ["nearest", "bilinear", "transposed"])
def test_decoders_of_series_are_those_of_images_of_one_row(upsample: str):
    classifier = load_config(*SERIES, f"upsample={upsample}", "shortcut=shortcut_gating").model
    model = replace(classifier, num_classes=0, image_size=37)
    net = Autoencoder(model).double()
    rows = Autoencoder(replace(model, dims=2, image_size=[1, 37])).double()
    as_rows(net, rows)
    x = torch.randn(3, 3, 37, dtype=torch.float64)
    for training in (True, False):
        torch.testing.assert_close(net.train(training)(x), rows.train(training)(x[:, :, None])[:, :, 0])


def test_blur_of_series_is_the_filter_1_2_1():
    from resnet_lab.model.modules import Blur

    x = torch.randn(2, 3, 9, dtype=torch.float64)
    mirrored = F.pad(x, (1, 1), mode="reflect")
    by_hand = (mirrored[:, :, :-2] + 2 * mirrored[:, :, 1:-1] + mirrored[:, :, 2:]) / 4
    torch.testing.assert_close(Blur(2)(x), by_hand[:, :, ::2])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["model.kernels=[3,3,3]", *BASIC],
            r"model\.kernels must have one whole number .* or one for each of its 2",
        ),
        (["model.kernels=0"], r"model\.kernels must be at least 1"),
        (
            ["task=reconstruction", "head=latent_flat", "reconstruction.loss=ssim"],
            r"reconstruction\.loss=ssim takes pixels in 0…1, but data=fake has series: choose mse or l1",
        ),
        (["data.image_size=[8,8]"], r"data\.image_size must be a length"),
        (["data.dims=3"], r"data\.dims must be 1 for series or 2 for images"),
        (["augment=standard"], r"augment\.flip is for images"),
    ],
)
def test_what_makes_no_sense_is_refused(overrides: list[str], message: str):
    with pytest.raises(ConfigError, match=message):
        load_config(*SERIES, *overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("upsample=pixel_shuffle", r"upsample=pixel_shuffle .* series"),
        ("stem=none", r"model\.stem\.filters=0 cannot be mirrored"),
    ],
)
def test_decoders_that_make_no_sense_are_refused(overrides: str, message: str):
    with pytest.raises(ConfigError, match=message):
        replace(load_config(*SERIES, overrides).model, num_classes=0)


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_has_the_kernels_that_its_description_says(unit: str):
    assert UNITS.info(unit).kernels == tuple(conv.kernel for conv in UNITS.load(unit).convs)
