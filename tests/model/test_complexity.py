"""What the tracer makes of networks of other kinds: gates, real branches, and layers that it does not know."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lab import complexity, load_config
from resnet_lab.tasks.cost import measure, totals

Join = Callable[[Tensor, nn.ModuleList], Tensor]


class Net(nn.Module):
    """A convolution, what `join` makes of its 8 maps with the layers `inner`, and a linear layer: depth 2 without."""

    def __init__(self, join: Join, *inner: nn.Module) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.inner = nn.ModuleList(inner)
        self.last = nn.Linear(8, 2)
        self.join = join

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.last(self.join(self.first(x_BCHW).relu(), self.inner).mean((2, 3)))


def conv(kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(8, 8, kernel, padding=kernel // 2)


def chain(x: Tensor, layers: nn.ModuleList) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


def squeezed(x: Tensor, layers: nn.ModuleList) -> Tensor:
    return chain(x.mean((2, 3), keepdim=True), layers)


GATED: dict[str, Join] = {
    "squeeze and excitation": lambda x, layers: x * squeezed(x, layers).sigmoid(),
    "gate first": lambda x, layers: torch.mul(torch.sigmoid(squeezed(x, layers)), x),
    "in place": lambda x, layers: x.mul_(squeezed(x, layers).sigmoid()),
    "hard, by hand": lambda x, layers: x * (F.relu6(squeezed(x, layers) + 3) / 6),
    "softmax over maps": lambda x, layers: x * squeezed(x, layers).softmax(dim=1),
    "for all maps": lambda x, layers: x * chain(x, layers).mean(dim=1, keepdim=True),
    "for every element": lambda x, layers: x * F.hardsigmoid(chain(x, layers)),
    "highway": lambda x, layers: (1 - (gate := chain(x, layers).sigmoid())) * x + gate * x,
    "two gates": lambda x, layers: x * (chain(x, layers).sigmoid() * squeezed(x, layers).sigmoid()),
}

BRANCHED: dict[str, Join] = {
    "sum": lambda x, layers: x + chain(x, layers),
    "side by side": lambda x, layers: torch.cat([x, chain(x, layers)], dim=3),
    "product of maps": lambda x, layers: x * chain(x, layers),
    "gated branch": lambda x, layers: x.sigmoid() * chain(x, layers),
    "sigmoid as activation": lambda x, layers: chain(chain(x, layers[:2]).sigmoid(), layers[2:]),
    "layers behind a sigmoid": lambda x, layers: x * chain(x.sigmoid(), layers),
    "sum with a sigmoid": lambda x, layers: (chain(x, layers).sigmoid() + x) * x,
    "masked sigmoid": lambda x, layers: x + chain(x, layers).sigmoid() * torch.ones_like(x.new_empty(1)),
}


@pytest.mark.parametrize(("kind", "depth"), [*((kind, 2) for kind in GATED), *((kind, 5) for kind in BRANCHED)])
def test_depth_is_that_of_the_path_that_carries_the_maps(kind: str, depth: int) -> None:
    net = Net({**GATED, **BRANCHED}[kind], conv(3), nn.ReLU(), conv(1), conv(1))
    cost = complexity(net, (3, 9, 9))
    assert cost.depth == depth
    assert {layer.name for layer in cost.layers} == {"first", "inner.0", "inner.2", "inner.3", "last"}
    assert cost.receptive_field == (3 if depth == 2 else 5)
    assert not cost.uncounted


@pytest.mark.slow
@pytest.mark.parametrize("shortcut", ["exclusive_gating", "shortcut_gating"])
@pytest.mark.parametrize(("experiment", "depth"), [("cifar10_v1_110", 110), ("cifar10_164", 164)])
def test_gated_networks_are_as_deep_as_the_papers_say(experiment: str, depth: int, shortcut: str) -> None:
    assert measure(load_config(f"+experiment={experiment}", f"shortcut={shortcut}")).depth == depth


class Bare(nn.Module):
    """Parameters that no layer holds."""

    def __init__(self, shape: tuple[int, ...], use: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.ones(shape))
        self.use = use

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.use(x_BCHW, self.mix)


class First(nn.Module):
    """The first of what an LSTM gives."""

    def forward(self, given: tuple[Tensor, Tensor]) -> Tensor:
        return given[0]


class Flat(nn.Module):
    """A layer for another shape."""

    def __init__(self, shape: tuple[int, ...], layer: nn.Module) -> None:
        super().__init__()
        self.shape, self.layer = shape, layer

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.layer(x_BCHW.reshape(len(x_BCHW), *self.shape)).reshape(x_BCHW.shape)


UNKNOWN: list[tuple[nn.Module, str, str]] = [
    (nn.PReLU(), "prelu", "inner.0"),
    (Flat((8, 9, 9, 1), nn.Conv3d(8, 8, 1)), "conv3d", "inner.0.layer"),
    (Flat((8, 9, 3, 3), nn.Conv3d(8, 8, 1)), "conv3d", "inner.0.layer"),
    (Flat((8, 81), nn.Sequential(nn.LSTM(81, 81), First())), "lstm", "inner.0.layer.0.weight_ih_l0"),
    (Bare((9, 9), lambda x, w: x @ w), "matmul", "inner.0.mix"),
    (Bare((8, 8), lambda x, w: torch.einsum("bchw,cd->bdhw", x, w)), "einsum", "inner.0.mix"),
    (Bare((8, 1, 1), lambda x, w: w * x), "mul", "inner.0.mix"),
    (Bare((9, 9), lambda x, w: x @ w.relu().mT), "matmul", "inner.0.mix"),
]


@pytest.mark.parametrize(("layer", "kind", "name"), UNKNOWN, ids=[kind for _, kind, _ in UNKNOWN])
def test_weights_in_an_unknown_operation_are_said(layer: nn.Module, kind: str, name: str) -> None:
    net = Net(chain, layer)
    cost = complexity(net, (3, 9, 9))
    assert cost.uncounted == {kind: (name,)}
    assert cost.warnings() == [f"depth, MACs, activations and receptive field leave out {kind} of {name}"]
    assert cost.params == sum(p.numel() for p in net.parameters())
    assert (cost.depth, [layer.name for layer in cost.layers]) == (2, ["first", "last"])


def test_several_of_a_kind_are_one_line() -> None:
    cost = complexity(Net(chain, *(nn.PReLU() for _ in range(3)), Flat((8, 9, 9, 1), nn.Conv3d(8, 8, 1))), (3, 9, 9))
    assert cost.uncounted == {"prelu": ("inner.0", "inner.1", "inner.2"), "conv3d": ("inner.3.layer",)}
    assert [line.partition("leave out ")[2] for line in cost.warnings()] == [
        "prelu of inner.0 and 2 more",
        "conv3d of inner.3.layer",
    ]


def test_a_standardised_weight_is_the_layer_s_own() -> None:
    class Standardised(nn.Conv2d):
        def forward(self, x_BCHW: Tensor) -> Tensor:
            weight = (self.weight - self.weight.mean()) / self.weight.std()
            return F.conv2d(x_BCHW, weight=weight, bias=self.bias, padding=1)

    cost = complexity(Net(chain, Standardised(8, 8, 3)), (3, 9, 9))
    assert (cost.depth, cost.layers[1].name, cost.layers[1].macs) == (3, "inner.0", 8 * 8 * 9 * 81)
    assert not cost.uncounted


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (1, 3), (2, 2)])
def test_groups_stride_and_dilation(groups: int, stride: int, dilation: int) -> None:
    middle = nn.Conv2d(8, 8, 3, stride, dilation, dilation, groups)
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), middle, nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1)).double()
    cost = complexity(net, (1, 48, 48))
    size = 48 // stride
    assert cost.layers[1].macs == 8 * (8 // groups) * 9 * size**2 == middle.weight.numel() * size**2

    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.01)
    net[2] = nn.AvgPool2d(2)
    image = torch.ones(1, 1, 48, 48, dtype=torch.float64, requires_grad=True)
    net(image)[0, :, 6, 6].sum().backward()
    rows = (image.grad[0, 0] != 0).any(dim=1).nonzero()
    assert int(rows.max() - rows.min() + 1) == cost.receptive_field


@pytest.mark.parametrize(
    "changes",
    [
        ["units=n7"],
        ["model.units=[1,2,4]", "unit=basic", "bottleneck=none", "norm=none"],
        ["stacks=two", "units=n4", "shortcut=exclusive_gating", "bridges=stack", "head=mlp"],
        ["model.units=[3,1,3]", "activation=original", "downsample=max_pool", "shortcut=conv"],
    ],
)
def test_the_totals_of_deep_networks_follow_from_shallow_ones(changes: list[str]):
    config = load_config("filters=w16", *changes)
    cost = measure(config)
    assert totals(config) == {"macs": cost.macs, "params": cost.params, "activations": cost.activations}


def test_batchnorm_of_another_width_is_torchs_error():
    with pytest.raises(RuntimeError, match=r"should contain 8 elements not 4"):
        complexity(Net(chain, nn.BatchNorm2d(4)), (3, 8, 8))


def test_a_network_on_the_meta_device_is_measured_as_any_other():
    with torch.device("meta"):
        net = Net(chain, conv())
    assert complexity(net.eval(), (3, 8, 8)) == complexity(Net(chain, conv()), (3, 8, 8))
