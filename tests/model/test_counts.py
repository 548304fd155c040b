"""Published sizes, and complexity against independent formulas."""

import pytest
import torch
from support.composing import config as load_config
from torch import nn

from resnet_lab import ResNetV2, complexity
from resnet_lab.config.groups import options
from resnet_lab.config.model_enums import LatentLayer
from resnet_lab.config.schema import Config
from resnet_lab.tasks.cost import measure

pytestmark = pytest.mark.slow

IMAGENET = ["data=fake", "data.image_size=224", "data.num_classes=1000", "stem=imagenet", "stacks=four"]
BASIC = ["unit=basic", "bottleneck=none"]

PYRAMID = ["data=cifar10", "activation=norm_first", "shortcut=zero_pad", "shortcut_pool=on", "lineage=torch"]
D = ["stem=deep", "shortcut_pool=on", "lineage=torch"]
DENSE = ["data=cifar10", "bridges=stack_concat", "bottleneck=none", "stem=conv", "unit=conv"]
BC = [*DENSE, "bridges=stack_concat_half", "unit=dense", "cardinality=c1_256"]
V1 = ["activation=original", "lineage=torch"]
PUBLISHED = [  # overrides, depth, params
    ([*DENSE, "filters=w12", "units=n12"], 40, 1_019_722),
    ([*DENSE, "filters=w12", "units=n32"], 100, 6_979_642),
    ([*DENSE, "filters=w24", "units=n32"], 100, 27_249_082),
    ([*BC, "filters=w12", "units=n16", "stem=conv_24"], 100, 769_162),
    ([*BC, "filters=w24", "units=n41", "stem=conv_48"], 250, 15_324_406),
    ([*BC, "filters=w40", "units=n31", "stem=conv_80"], 190, 25_624_430),
    # timm's resnetblur50
    (
        [*IMAGENET, "units=r34", "filters=w256", "activation=original", "lineage=torch", "downsample=blur_branch"],
        50,
        25_557_032,
    ),
    # torchvision's densenet121
    ([*BC, *IMAGENET, "filters=w32", "units=r121"], 121, 7_978_856),
    ([*PYRAMID, "filters=w16", "units=n18", "widening=a48", *BASIC], 110, 1_772_706),
    ([*PYRAMID, "filters=w16", "units=n18", "widening=a84", *BASIC], 110, 3_904_446),
    ([*PYRAMID, "filters=w16", "units=n18", "widening=a270", *BASIC], 110, 28_485_477),
    ([*PYRAMID, "units=n18", "widening=a48"], 164, 1_715_442),
    ([*PYRAMID, "units=n18", "widening=a270"], 164, 27_216_021),
    ([*PYRAMID, "units=n22", "widening=a240"], 200, 26_752_702),
    ([*PYRAMID, "units=n26", "widening=a220"], 236, 26_969_046),
    ([*PYRAMID, "units=n30", "widening=a200"], 272, 26_210_842),
    # ResNet-D: timm's resnet50d (V1), resnetv2_50d and resnetv2_18d.
    ([*IMAGENET, *D, "units=r34", "filters=w256", "activation=original"], 52, 25_576_264),
    ([*IMAGENET, *D, "units=r34", "filters=w256"], 52, 25_568_584),
    ([*IMAGENET, *D, *BASIC, "units=r18"], 20, 11_706_952),
    (["+experiment=cifar10_56"], 56, 590_426),
    (["+experiment=cifar10_164"], 164, 1_703_258),
    (["+experiment=cifar10_basic_20"], 20, 269_722),
    (["+experiment=cifar10_basic_56"], 56, 853_018),
    (["+experiment=cifar10_basic_110"], 110, 1_727_962),
    # The V2 networks of torchvision's and fb.resnet.torch's ImageNet shapes, counted by hand from the V1 numbers:
    # V1 has a BatchNorm on every projection and after every convolution, V2 one before every convolution but the first.
    ([*IMAGENET, *BASIC, "units=r18"], 18, 11_687_720),
    ([*IMAGENET, *BASIC, "units=r34"], 34, 21_795_880),
    ([*IMAGENET, "units=r34", "filters=w256"], 50, 25_549_352),
]


@pytest.mark.parametrize(("overrides", "depth", "params"), PUBLISHED)
def test_published_sizes(overrides: list[str], depth: int, params: int) -> None:
    cost = measure(load_config(*overrides))
    assert (cost.depth, cost.params, cost.trainable_params) == (depth, params, params)


@pytest.mark.parametrize(
    ("experiment", "millions"), [("cifar10_56", 84.1), ("cifar10_basic_56", 125.5), ("cifar10_164", 244.5)]
)
def test_published_macs(experiment: str, millions: float) -> None:
    cost = measure(load_config(f"+experiment={experiment}"))
    assert round(cost.macs / 1e6, 1) == millions
    assert cost.flops == 2 * cost.macs


def count_by_hand(config: Config) -> dict[str, int]:
    """Params, MACs, activations and depth from the configuration alone, layer by layer."""
    model = config.model
    channels, height, width = config.data.image_shape
    totals = {"params": 0, "macs": 0, "activations": 0}
    norm = 0 if model.norm.name == "none" else 2
    bias = model.lineage.conv_bias or not norm
    placement = model.activation.name
    bridges = model.bridges.name
    shortcut = model.shortcut if bridges in ("unit", "stack") else "none"

    def conv(
        maps_in: int, maps: int, kernel: int, size: tuple[int, int], has_bias: bool = bias, groups: int = 1
    ) -> None:
        totals["params"] += maps_in // groups * maps * kernel**2 + (maps if has_bias else 0)
        totals["macs"] += maps_in // groups * maps * kernel**2 * size[0] * size[1]
        totals["activations"] += maps * size[0] * size[1]

    def linear(n: int, m: int, has_bias: bool = True) -> None:
        totals["params"] += n * m + (m if has_bias else 0)
        totals["macs"] += n * m
        totals["activations"] += m

    def reduced(size: tuple[int, int], stride: int) -> tuple[int, int]:
        return -(-size[0] // stride), -(-size[1] // stride)

    size = reduced((height, width), model.stem.stride)
    maps = model.stem.filters or channels
    depth = 3 if model.stem.deep else 1
    widths = [channels, maps // 2, maps // 2, maps] if model.stem.deep else [channels, maps]
    depth = depth if model.stem.filters else 0
    for index in range(depth):
        conv(widths[index], widths[index + 1], 3 if index else model.stem.kernel, size)
        totals["params"] += norm * widths[index + 1]
    if model.stem.double:
        size = reduced(size, 2)
        conv(maps, maps, 3, size)
        totals["params"] += norm * maps
        depth += 1
    totals["params"] -= 0 if model.stem.activation or not model.stem.filters else norm * maps  # of the last one
    if model.stem.pool:
        size = reduced(size, 2)
    kernels = {"bottleneck": [1, 3, 1], "basic": [3, 3], "triple": [3, 3, 3], "dense": [1, 3], "conv": [3]}[model.unit]
    if model.kernels:
        kernels = [*model.kernels] if len(model.kernels) > 1 else [model.kernels[0] if k > 1 else 1 for k in kernels]
    halving = model.downsample.name != "none"
    given = [maps]  # of all earlier outputs, one after the other
    sources: list[tuple[int, int, int]] = []  # all earlier outputs that are summed: stack, maps, depth

    def merged(stack: int, maps: int, size: tuple[int, int]) -> int:
        """Count the projection of outputs of other stacks; return the depth of the sum."""
        own, others = ([source for source in sources if (source[0] == stack) == same] for same in (True, False))
        if others:
            conv(sum(source[1] for source in others), maps, 1, size)
        return max([source[2] for source in own] + [source[2] + 1 for source in others])

    for stack in range(model.num_stacks):
        doubled = 1 if "concat" in bridges else 2**stack
        filters = model.filters[stack] if len(model.filters) > 1 else model.filters[0] * doubled
        if bridges == "stack":
            conv(maps, filters, 1, reduced(size, 1 if stack == 0 or not halving else 2))
        if stack > 0 and bridges == "stack_concat":
            maps = sum(given)
            kept = int(maps * model.compression + 1e-6)
            conv(maps, kept, 1, size)
            before = placement in ("full_preactivation", "norm_first")
            totals["params"] += norm * (maps if before else kept)
            given = [kept]
            depth += 1
        if stack > 0 and "concat" in bridges and halving:
            size = reduced(size, 2)
        if bridges == "stack_sum" or stack == 0:
            sources = [(0 if stack == 0 and maps == filters else stack - 1, maps, depth)]
        for unit in range(model.units[stack % len(model.units)]):
            if "concat" in bridges:
                maps = sum(given)
            reduction = model.reduction[stack % len(model.reduction)]
            if model.widening:
                numbers = [model.units[s % len(model.units)] for s in range(model.num_stacks)]
                done = sum(numbers[:stack]) + unit + 1
                step = model.filters[0] / reduction + model.widening * done / sum(numbers)
                filters = reduction * int(step + 0.5)
            inner = model.cardinality * (filters // reduction * model.base_width // 64)
            halves = unit == 0 and stack > 0 and "concat" not in bridges and halving
            if halves and model.downsample.name == "max_pool":
                size, halves = reduced(size, 2), False
            changes = halves or maps != filters
            out = reduced(size, 2) if halves else size
            blurs = "blur" in model.downsample.name
            movable = model.unit in ("bottleneck", "dense") and any(kernel > 1 for kernel in kernels)
            spatial = next((index for index, kernel in enumerate(kernels) if kernel > 1), 0)
            strided = spatial if model.lineage.stride_on.name == "spatial" and movable else 0
            before = maps
            for index, kernel in enumerate(kernels):
                first, last = index == 0, index == len(kernels) - 1
                after = filters if last else inner
                activated = model.stem.activation and model.stem.filters and "concat" not in bridges
                if placement == "full_preactivation" and not (first and stack == unit == 0 and activated):
                    totals["params"] += norm * before
                if placement == "norm_first":
                    totals["params"] += norm * (before + (after if last else 0))
                groups = model.cardinality if model.unit == "bottleneck" and not last and kernel > 1 else 1
                conv(before, after, kernel, size if index < strided + blurs else out, groups=groups)
                if placement in ("relu_only_preactivation", "relu_before_addition", "original"):
                    totals["params"] += norm * after
                if placement == "bn_after_addition" and not last:
                    totals["params"] += norm * after
                before = after
            if placement == "bn_after_addition":
                totals["params"] += norm * filters
            fixed = ("projection", "projection_norm", "zero_pad", "conv", "none")
            resized = shortcut.removesuffix("_norm") if shortcut in fixed else model.resize.name
            if shortcut == "conv" or (changes and resized == "projection"):
                conv(maps, filters, model.projection_kernel, out)
                totals["params"] += norm * filters if placement == "original" else 0
            if shortcut == "projection_norm":
                totals["params"] += norm * filters if placement != "original" or not changes else 0
            if "gating" in shortcut:
                conv(maps, filters, 1, out, has_bias=True)
            if model.attention.kind.name == "se":
                own = maps if model.attention.place.name in ("pre", "identity") else filters
                hidden = max(1, own // model.attention.reduction)
                linear(own, hidden, model.attention.bias)
                linear(hidden, own, model.attention.bias)
            totals["params"] += 1 if model.learned_scale is not None else 0
            depth += len(kernels)
            given.append(filters)
            sources.append((stack, filters, depth))
            if "sum" in bridges:
                depth = merged(stack, filters, out)
            size, maps = out, filters
    maps = sum(given) if "concat" in bridges else maps
    totals["params"] += norm * maps if placement in ("full_preactivation", "norm_first") else 0
    if model.head.layer is LatentLayer.map:
        conv(maps, model.head.latent_dim, 1, size, has_bias=True)
        linear(model.head.latent_dim, model.num_classes)
        return totals | {"depth": depth + 2}
    if model.head.layer is LatentLayer.flat:
        maps *= size[0] * size[1]
    for hidden in [*model.head.hidden, *([model.head.latent_dim] if model.head.latent_dim else [])]:
        linear(maps, hidden)
        maps = hidden
        depth += 1
    linear(maps, model.num_classes)
    return totals | {"depth": depth + 1}


@pytest.mark.parametrize(
    "overrides",
    [
        ["units=n3"],
        ["model.projection_kernel=3", "lineage=atienza"],
        ["stacks=two", "model.units=[1,4]", "model.filters=[24,20]", "model.reduction=[3,5]", "head=mlp"],
        ["stacks=five", "data.image_size=[48,33]", "model.units=[1,2,1,3,1]", "filters=w16", *BASIC],
        ["shortcut=zero_pad", "model.filters=[16,16,40]", "data.channels=4", "model.head.hidden=[30,20]"],
        *(
            ["data.image_size=[19,30]", f"bridges={b}", "model.units=[2,1,3]", "filters=w16"]
            for b in options("bridges")
        ),
        *(["bridges=net_sum", f"downsample={d}", "stacks=four", *BASIC, "filters=w24"] for d in options("downsample")),
        ["widening=a11", "model.units=[2,1,3]", "activation=norm_first", "shortcut=zero_pad", "filters=w16"],
        ["stem=imagenet", "stacks=four", "data.image_size=64", "units=r34", "bottleneck=half", "data.num_classes=2"],
        [
            "model.stem.kernel=5",
            "model.stem.stride=2",
            "model.stem.filters=20",
            "data.channels=1",
            "bottleneck=atienza",
        ],
    ],
)
def test_complexity_equals_a_count_by_hand(overrides: list[str]) -> None:
    config = load_config("data=fake", *overrides)
    measured = measure(config).totals()
    expected = count_by_hand(config)
    assert {name: measured[name] for name in expected} == expected
    real = ResNetV2(config.model)
    assert sum(p.numel() for p in real.parameters()) == expected["params"]


@pytest.mark.parametrize(
    "overrides",
    [
        ["units=n2", "filters=w16", *BASIC, "shortcut=zero_pad"],
        ["units=n2"],
        ["stem=imagenet", "units=n2", "data.image_size=256"],
        ["model.stem.kernel=5", "model.stem.stride=2", "stacks=two"],
    ],
)
def test_receptive_field_is_where_the_gradient_reaches(overrides: list[str]) -> None:
    config = load_config("data=fake", "data.image_size=128", "data.channels=1", *overrides)
    net = ResNetV2(config.model).double().eval()
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.01)  # all positive: nothing cancels, no ReLU closes
    expected = complexity(net, config.data.image_shape).receptive_field
    if config.model.stem.pool:
        net.stem.pool = nn.AvgPool2d(
            3, stride=2, padding=1
        )  # the same window; max-pooling hands on one pixel's gradient
    image = torch.ones(1, *config.data.image_shape, dtype=torch.float64, requires_grad=True)
    maps = net.intermediates(image)[f"stacks.{config.model.num_stacks - 1}"]
    middle = maps.shape[-1] // 2
    maps[0, :, middle, middle].sum().backward()
    assert image.grad is not None
    rows = (image.grad[0, 0] != 0).any(dim=1).nonzero()
    assert int(rows.max() - rows.min() + 1) == expected


def test_complexity_leaves_the_network_alone() -> None:
    config = load_config("data=fake", "filters=w16")
    net = ResNetV2(config.model).train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    complexity(net, config.data.image_shape)
    assert net.training
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_complexity_of_another_kind_of_network() -> None:
    net = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1, groups=2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 16, 3))
    cost = complexity(net, (2, 8, 8))
    assert cost.macs == 6 * 9 * 64 + 6 * 16 * 3
    assert (cost.depth, cost.receptive_field, cost.activations) == (2, 4, 6 * 64 + 3)
    net[3].weight.requires_grad_(False)
    assert cost.trainable_params - complexity(net, (2, 8, 8)).trainable_params == 6 * 16 * 3
