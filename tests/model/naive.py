"""A second, deliberately naive implementation of the papers' networks, to hold the real one to.

Nothing is shared with the package but the weights, which are taken from a state dict by name. Every case is written
out: what a network does is meant to be read from top to bottom, next to the figures of arXiv:1512.03385 and 1603.05027.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Weights = dict[str, Tensor]

# A shortcut that is not written out here yet is tested for all that does not need a second implementation.
SHORTCUTS = {
    "projection", "projection_norm", "zero_pad", "conv", "constant_scaling", "exclusive_gating", "shortcut_gating",
    "dropout", "none",
}  # fmt: skip


def normalised(model: dict[str, Any], w: Weights, x: Tensor, name: str, train: bool) -> Tensor:
    """The norm of the name `name`."""
    if model["norm"] == "none":
        return x
    eps = model["lineage"]["norm_eps"]
    scale, shift = w[f"{name}.weight"][:, None, None], w[f"{name}.bias"][:, None, None]
    if model["norm"] in ("group", "layer"):
        groups = model["norm_groups"] if model["norm"] == "group" else 1
        parts = x.reshape(len(x), groups, -1)
        centred = parts - parts.mean(dim=2, keepdim=True)
        parts = centred / torch.sqrt((centred**2).mean(dim=2, keepdim=True) + eps)
        return parts.reshape(x.shape) * scale + shift
    if train:
        mean = x.mean(dim=(0, 2, 3), keepdim=True)
        variance = ((x - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
    else:
        mean = w[f"{name}.running_mean"][:, None, None]
        variance = w[f"{name}.running_var"][:, None, None]
    return (x - mean) / torch.sqrt(variance + eps) * scale + shift


def bent(model: dict[str, Any], x: Tensor) -> Tensor:
    """What stands wherever the papers have a ReLU."""
    match model["nonlinearity"]:
        case "leaky_relu":
            return torch.where(x > 0, x, x / 100)
        case "silu":
            return x / (1 + torch.exp(-x))
        case "gelu":
            return x * (1 + torch.erf(x / 2**0.5)) / 2
        case "none":
            return x
    return torch.where(x > 0, x, torch.zeros_like(x))


def standardised(model: dict[str, Any], kernel: Tensor) -> Tensor:
    """A kernel (out, in, k, k) as it is used."""
    if not model["weight_standardisation"]:
        return kernel
    rows = kernel.flatten(1) - kernel.flatten(1).mean(dim=1, keepdim=True)
    deviation = torch.sqrt((rows**2).sum(dim=1, keepdim=True) / (rows.shape[1] - 1))
    return (rows / (deviation + 1e-5)).reshape(kernel.shape)


def forward(model: dict[str, Any], w: Weights, x: Tensor, train: bool) -> Tensor:
    """Logits of the network with the plain settings `model` and the weights `w`."""
    lineage, stem, bridges = model["lineage"], model["stem"], model["bridges"]
    # For the network's first unit.
    activated_stem = stem["activation"] and stem["filters"] > 0 and "concat" not in bridges

    def norm(x: Tensor, name: str) -> Tensor:
        return normalised(model, w, x, name, train)

    def relu(x: Tensor) -> Tensor:
        return bent(model, x)

    def attended(x: Tensor, name: str, place: str) -> Tensor:
        if model["attention"]["kind"] == "none" or model["attention"]["place"] != place:
            return x
        hidden = x.mean(dim=(2, 3)) @ w[f"{name}.attention.squeeze.weight"].T
        hidden = torch.clamp(hidden + w.get(f"{name}.attention.squeeze.bias", 0), min=0)
        weights = hidden @ w[f"{name}.attention.excite.weight"].T + w.get(f"{name}.attention.excite.bias", 0)
        return x / (1 + torch.exp(-weights))[:, :, None, None]

    def ended(y: Tensor, name: str, position: float) -> Tensor:
        """The end of a branch; `position` is 1 / L for the first of L units, and 1 for the last."""
        y = attended(y, name, "standard")
        if model["learned_scale"] is not None:
            y = y * w[f"{name}.branch_end.scale.scale"]
        depth = model["stochastic_depth"]
        assert not (train and depth["rate"]), "random"
        units = sum(model["units"] * (1 if len(model["units"]) > 1 else model["num_stacks"]))
        growth = {"linear": position, "linear_from_zero": (position * units - 1) / max(1, units - 1), "constant": 1}
        return y * (1 - depth["rate"] * growth[depth["over"]]) if depth["rescale"] == "test" else y

    def conv(x: Tensor, name: str, stride: int) -> Tensor:
        kernel = standardised(model, w[f"{name}.weight"])
        pad, more = divmod(kernel.shape[-1] - 1, 2)  # of an even kernel, one more at the end
        x = F.pad(x, (0, more, 0, more))
        has_bias = lineage["conv_bias"] or model["norm"] == "none"
        assert (f"{name}.bias" in w) == has_bias
        spatial = model["unit"] == "bottleneck" and name.endswith("layers.1.conv")
        groups = model["cardinality"] if spatial else 1
        return F.conv2d(x, kernel, w.get(f"{name}.bias"), stride=stride, padding=pad, groups=groups)

    def averaged(x: Tensor, stride: int) -> Tensor:
        """The means of squares of positions, which are smaller at the ends of odd maps."""
        ones = F.pad(torch.ones_like(x), (0, -x.shape[3] % stride, 0, -x.shape[2] % stride))
        x = F.pad(x, (0, -x.shape[3] % stride, 0, -x.shape[2] % stride))
        sums, counts = (
            sum(y[:, :, i::stride, j::stride] for i in range(stride) for j in range(stride)) for y in (x, ones)
        )
        return sums / counts

    def blurred(x: Tensor, stride: int) -> Tensor:
        """The filter [1, 2, 1] / 4 along both sides of the mirrored map, every stride-th position."""
        row = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype)
        height, width = ([1, *range(size), size - 2] for size in x.shape[2:])
        x = x[:, :, height][:, :, :, width]
        kernel = torch.outer(row, row).repeat(x.shape[1], 1, 1, 1)
        return F.conv2d(x, kernel, groups=x.shape[1], stride=stride)

    def smaller(x: Tensor, stride: int) -> Tensor:
        """What a shortcut without weights does to the size."""
        if model["shortcut_pool"]:
            return averaged(x, stride)
        return blurred(x, stride) if stride > 1 and model["downsample"] == "blur" else x[:, :, ::stride, ::stride]

    def zero_pad(x: Tensor, maps: int, stride: int) -> Tensor:
        sampled = smaller(x, stride)
        zeros = torch.zeros(len(x), maps - x.shape[1], *sampled.shape[2:], dtype=x.dtype)
        return torch.cat([sampled, zeros], dim=1)

    def skip(x: Tensor, name: str, maps: int, stride: int, how: str) -> Tensor:
        if how != "always" and x.shape[1] == maps and stride == 1:
            return x
        if how == "zero_pad":
            return zero_pad(x, maps, stride)
        first = 0
        if (model["shortcut_pool"] or model["downsample"] == "blur") and stride > 1:
            x, stride, first = smaller(x, stride), 1, 1
        if model["activation"] == "original":
            return norm(conv(x, f"{name}.path.{first}", stride), f"{name}.path.{first + 1}")
        return conv(x, f"{name}.path.1" if first else f"{name}.path", stride)

    def join(x: Tensor, residual: Tensor, name: str, maps: int, stride: int) -> Tensor:
        kind, resize = model["shortcut"], model["resize"]
        if kind == "none" or bridges not in ("unit", "stack"):
            return residual
        if kind == "projection_norm" and model["activation"] != "original":
            if x.shape[1] == maps and stride == 1:
                return norm(x, f"{name}.path.norm") + residual
            if (model["shortcut_pool"] or model["downsample"] == "blur") and stride > 1:
                return norm(conv(smaller(x, stride), f"{name}.path.0.1", 1), f"{name}.path.1.norm") + residual
            return norm(conv(x, f"{name}.path.0", stride), f"{name}.path.1.norm") + residual
        if kind == "projection_norm" and x.shape[1] == maps and stride == 1:
            return norm(x, f"{name}.path.norm") + residual
        if kind in ("projection", "projection_norm", "zero_pad"):
            return skip(x, name, maps, stride, kind) + residual
        if kind == "conv":
            return skip(x, name, maps, stride, "always") + residual
        if kind == "constant_scaling":
            return model["shortcut_scale"] * skip(x, name, maps, stride, resize) + model["residual_scale"] * residual
        if kind == "dropout":
            assert not train, "random"
            return skip(x, name, maps, stride, resize) + residual
        assert kind in ("exclusive_gating", "shortcut_gating")
        gate = torch.sigmoid(F.conv2d(x, w[f"{name}.gate.conv.weight"], w[f"{name}.gate.conv.bias"], stride=stride))
        through = (1 - gate) * skip(x, name, maps, stride, resize)
        return through + (gate * residual if kind == "exclusive_gating" else residual)

    def unit(x: Tensor, name: str, maps: int, stride: int, begins: str, position: float) -> Tensor:
        assert not (train and model["unit_dropout"]), "random"
        convs = {"bottleneck": 3, "basic": 2, "triple": 3, "dense": 2, "conv": 1}[model["unit"]]
        shares = lineage["projection_input"] == "activated" and (
            model["shortcut"] == "conv" or begins == "stack" or (begins == "network" and x.shape[1] != maps)
        )
        spatial = 1 if model["unit"] in ("bottleneck", "dense") else 0
        strides = [1] * convs
        strided = spatial if lineage["stride_on"] == "spatial" else 0
        strides[strided] = stride
        blur = 1
        if stride > 1 and "blur" in model["downsample"]:  # after the ReLU that follows
            strides[strided], blur = 1, stride
        layer = [f"{name}.layers.{i}" for i in range(convs)]
        placement = model["activation"]
        split = x  # what the shortcut is given
        if placement == "full_preactivation":
            y = x
            for i in range(convs):
                if not (begins == "network" and i == 0 and activated_stem):
                    y = relu(norm(y, f"{layer[i]}.before.norm"))
                if i == 0 and shares:
                    split = y
                y = attended(y, name, "pre") if i == 0 else y
                y = conv(blurred(y, blur) if i == strided + 1 and blur > 1 else y, f"{layer[i]}.conv", strides[i])
            y = ended(blurred(y, blur) if strided == convs - 1 and blur > 1 else y, name, position)
            return attended(join(attended(split, name, "identity"), y, f"{name}.shortcut", maps, stride), name, "post")
        if placement == "norm_first":
            y = attended(norm(x, f"{layer[0]}.before.norm"), name, "pre")
            for i in range(convs):
                y = relu(norm(y, f"{layer[i]}.before.norm")) if i > 0 else y
                y = conv(blurred(y, blur) if i == strided + 1 and blur > 1 else y, f"{layer[i]}.conv", strides[i])
            y = norm(y, f"{layer[-1]}.after.norm")
            y = ended(blurred(y, blur) if strided == convs - 1 and blur > 1 else y, name, position)
            return attended(join(attended(x, name, "identity"), y, f"{name}.shortcut", maps, stride), name, "post")
        if placement == "relu_only_preactivation":
            y = x
            for i in range(convs):
                if not (begins == "network" and i == 0 and activated_stem):
                    y = relu(y)
                if i == 0 and shares:
                    split = y
                y = attended(y, name, "pre") if i == 0 else y
                y = blurred(y, blur) if i == strided + 1 and blur > 1 else y
                y = norm(conv(y, f"{layer[i]}.conv", strides[i]), f"{layer[i]}.after.norm")
            y = ended(blurred(y, blur) if strided == convs - 1 and blur > 1 else y, name, position)
            return attended(join(attended(split, name, "identity"), y, f"{name}.shortcut", maps, stride), name, "post")
        y, x = attended(x, name, "pre"), attended(x, name, "identity")
        for i in range(convs - 1):
            y = relu(norm(conv(y, f"{layer[i]}.conv", strides[i]), f"{layer[i]}.after.norm"))
            y = blurred(y, blur) if i == strided and blur > 1 else y
        last = convs - 1
        y = conv(y, f"{layer[last]}.conv", strides[last])
        blur = blur if strided == last else 1

        if placement == "original":
            y = norm(y, f"{layer[last]}.after.norm")
            y = ended(blurred(y, blur) if blur > 1 else y, name, position)
            y = relu(join(x, y, f"{name}.shortcut", maps, stride))
        elif placement == "bn_after_addition":
            y = ended(blurred(y, blur) if blur > 1 else y, name, position)
            y = relu(norm(join(x, y, f"{name}.shortcut", maps, stride), f"{name}.addition.norm"))
        else:
            assert placement == "relu_before_addition"
            y = relu(norm(y, f"{layer[last]}.after.norm"))
            y = ended(blurred(y, blur) if blur > 1 else y, name, position)
            y = join(x, y, f"{name}.shortcut", maps, stride)
        return attended(y, name, "post")

    def stem_end(x: Tensor, name: str, is_last: bool) -> Tensor:
        if is_last and not stem["activation"]:
            return x
        x = norm(x, f"{name}.norm")
        return x if is_last and model["activation"] == "norm_first" else relu(x)

    def transition(x: Tensor, name: str) -> Tensor:
        """From one stack to the next, where each unit is given all outputs of its stack."""
        placement = model["activation"]
        if placement in ("full_preactivation", "norm_first"):
            x = norm(x, f"{name}.before.norm")
        if placement in ("full_preactivation", "norm_first", "relu_only_preactivation"):
            x = relu(x)
        x = conv(x, f"{name}.conv", 1)
        if placement not in ("full_preactivation", "norm_first"):
            x = norm(x, f"{name}.after.norm")
        return relu(x) if placement in ("original", "bn_after_addition", "relu_before_addition") else x

    def received(outputs: list[tuple[int, Tensor]], own: int, name: str) -> Tensor:
        """The sum of all outputs: those of stack `own` as they are, the others each through its part of a kernel."""
        total = sum(x for stack, x in outputs if stack == own)
        others = [x for stack, x in outputs if stack != own]
        if others:
            kernel, begin = standardised(model, w[f"{name}.weight"]), 0
            for x in others:
                total = total + torch.einsum("bchw,dc->bdhw", x, kernel[:, begin : begin + x.shape[1], 0, 0])
                begin += x.shape[1]
            total = total + w[f"{name}.bias"][:, None, None] if f"{name}.bias" in w else total
        return total

    stem_only = not stem["deep"] and not stem["double"]
    if stem["filters"] > 0:
        x = stem_end(conv(x, "stem.conv", stem["stride"]), "stem.activation", stem_only)
    if stem["deep"]:
        x = relu(norm(conv(x, "stem.inner_conv", 1), "stem.inner_activation.norm"))
        x = stem_end(conv(x, "stem.last_conv", 1), "stem.last_activation", not stem["double"])
    if stem["double"]:
        x = stem_end(conv(x, "stem.second_conv", 2), "stem.second_activation", True)
    if stem["pool"]:
        x = blurred(F.max_pool2d(x, 3, 1, 1), 2) if "blur" in model["downsample"] else F.max_pool2d(x, 3, 2, 1)
    outputs: list[tuple[int, Tensor]] = []  # with the stacks that they come from
    for s in range(model["num_stacks"]):
        growth = 1 if "concat" in bridges else 2
        maps = model["filters"][s] if len(model["filters"]) > 1 else model["filters"][0] * growth**s
        entry = x
        stride = 1 if s == 0 or model["downsample"] == "none" else 2
        unit_stride = stride
        if s > 0 and "concat" in bridges:
            x = averaged(transition(x, f"stacks.{s}.entry.0") if bridges == "stack_concat" else x, stride)
            unit_stride = 1
        elif s > 0 and model["downsample"] == "max_pool":
            x = F.max_pool2d(x, 2, ceil_mode=True)
            outputs = [(stack, F.max_pool2d(y, 2, ceil_mode=True)) for stack, y in outputs]
            unit_stride = 1
        if bridges == "stack_sum" or (bridges == "net_sum" and s == 0):
            outputs = [(0 if s == 0 and x.shape[1] == maps else s - 1, x)]
        all_units = model["units"] * (1 if len(model["units"]) > 1 else model["num_stacks"])
        num_units = model["units"][s] if len(model["units"]) > 1 else model["units"][0]
        for u in range(num_units):
            begins = "" if u > 0 else "stack" if s > 0 else "network"
            if model["widening"]:
                done = sum(all_units[:s]) + u + 1
                reduction = model["reduction"][0]
                step = model["filters"][0] / reduction + model["widening"] * done / sum(all_units)
                maps = reduction * int(step + 0.5)
            position = (sum(all_units[:s]) + u + 1) / sum(all_units)
            y = unit(x, f"stacks.{s}.units.{u}", maps, unit_stride if u == 0 else 1, begins, position)
            if "sum" in bridges:
                if u == 0:
                    outputs = [(stack, o[:, :, ::unit_stride, ::unit_stride]) for stack, o in outputs]
                outputs.append((s, y))
                x = received(outputs, s, f"stacks.{s}.projections.{u}")
            else:
                x = torch.cat([x, y], dim=1) if "concat" in bridges else y
        if bridges == "stack":
            x = x + conv(entry, f"stacks.{s}.bridge", stride)
    if model["activation"] in ("full_preactivation", "norm_first"):
        x = relu(norm(x, "head.activation.norm"))
    if model["activation"] == "relu_only_preactivation":
        x = relu(x)
    head = model["head"]
    kind = "dense" if head["latent_dim"] is None else head["latent_layer"]
    if kind == "map":
        x = torch.einsum("bchw,dc->bdhw", x, w["head.latent.weight"][:, :, 0, 0])
        x = x + w["head.latent.bias"][:, None, None]
    x = x.reshape(len(x), -1) if kind == "flat" else x.flatten(2).mean(2)
    for index in range(len(head["hidden"])):
        x = relu(x @ w[f"head.hidden.{index}.0.weight"].T + w[f"head.hidden.{index}.0.bias"])
    if head["latent_dim"] is not None and kind != "map":
        x = x @ w["head.latent.weight"].T + w["head.latent.bias"]
    return x @ w["head.classifier.weight"].T + w["head.classifier.bias"]
