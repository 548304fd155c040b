"""A second, deliberately naive decoder, to hold the real one to. It shares only the weights, by name.

Maps are always enlarged before a convolution, one operation at a time, as the definition says: nearest pixels by
repetition, bilinear interpolation by a matrix, transposed convolutions by scattering.
"""

from typing import Any

import naive
import torch
from torch import Tensor
from torch.nn import functional as F

Weights = dict[str, Tensor]
Size = tuple[int, int]


def interpolation(n: int, factor: int) -> Tensor:
    """The matrix (factor n, n) of linear interpolation between the centres of n cells, constant at the ends."""
    matrix = torch.zeros(factor * n, n, dtype=torch.float64)
    for i in range(factor * n):
        place = min(max((i + 0.5) / factor - 0.5, 0), n - 1)
        low = min(int(place), max(n - 2, 0))
        matrix[i, low] += 1 - (place - low)
        matrix[i, min(low + 1, n - 1)] += place - low
    return matrix


def scattered(x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """Every input adds its multiple of the kernel (in, out, k, k) to the output; what is centred of it remains."""
    batch, _, height, width = x.shape
    size = kernel.shape[-1]
    out = torch.zeros(batch, kernel.shape[1], stride * height + size, stride * width + size, dtype=x.dtype)
    for i in range(height):
        for j in range(width):
            part = torch.einsum("bc,cdkl->bdkl", x[:, :, i, j], kernel)
            grown = torch.zeros_like(out)
            grown[:, :, i * stride : i * stride + size, j * stride : j * stride + size] = part
            out = out + grown
    cut = (size - stride) // 2
    return out[:, :, cut : cut + stride * height, cut : cut + stride * width]


def decode(model: dict[str, Any], w: Weights, x: Tensor, sizes: list[Size], train: bool) -> Tensor:
    """The image for latent vectors or maps `x`; `sizes` are those of the image, in the stem and of the stacks."""
    own, lineage, head, stem = model["decoder"], model["lineage"], model["head"], model["stem"]
    last = model["num_stacks"] - 1
    filters = model["filters"] if len(model["filters"]) > 1 else [model["filters"][0] * 2**s for s in range(last + 1)]
    units = model["units"] * (1 if len(model["units"]) > 1 else last + 1)
    is_plain = own["kind"] == "plain"
    filters, units = own["filters"] or filters[::-1], own["units"] or ([1] if is_plain else units[::-1])
    units = units * (1 if len(units) > 1 else last + 1)
    kind = own["unit"] or ("conv" if is_plain else model["unit"])
    placement = own["activation"] or ("relu_before_addition" if is_plain else model["activation"])
    shortcut, how = own["shortcut"] or ("none" if is_plain else model["shortcut"]), own["upsample"]

    def norm(x: Tensor, name: str) -> Tensor:
        return naive.normalised(model, w, x, name, train)

    def relu(x: Tensor) -> Tensor:
        return naive.bent(model, x)

    def plain(x: Tensor, name: str) -> Tensor:
        kernel = w[f"{name}.weight"]
        if not any(part in name for part in ("entry.conv", "exit.conv", "gate.conv")):
            kernel = naive.standardised(model, kernel)
        return F.conv2d(x, kernel, w.get(f"{name}.bias"), padding=kernel.shape[-1] // 2)

    def enlarge(x: Tensor, factor: int, size: Size) -> Tensor:
        if how == "bilinear":
            down, across = interpolation(x.shape[2], factor), interpolation(x.shape[3], factor)
            x = torch.einsum("ih,bchw,jw->bcij", down, x, across)
        else:
            x = x.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        return x[:, :, : size[0], : size[1]]

    def conv(x: Tensor, name: str, factor: int, size: Size) -> Tensor:
        if factor == 1:
            return plain(x, name)
        if how in ("nearest", "bilinear"):
            place = next(index for index in (0, 1) if f"{name}.{index}.weight" in w)
            return plain(enlarge(x, factor, size), f"{name}.{place}")
        if how == "transposed":
            kernel = w[f"{name}.0.weight"]
            bias = w.get(f"{name}.0.bias", torch.zeros(kernel.shape[1], dtype=x.dtype))
            if name != "decoder.exit.conv":
                kernel = naive.standardised(model, kernel.transpose(0, 1)).transpose(0, 1)
            return scattered(x, kernel, factor)[:, :, : size[0], : size[1]] + bias[:, None, None]
        maps = plain(x, f"{name}.0")
        out = torch.zeros(len(x), maps.shape[1] // factor**2, factor * x.shape[2], factor * x.shape[3], dtype=x.dtype)
        for i in range(factor):
            for j in range(factor):
                out[:, :, i::factor, j::factor] = maps[:, i * factor + j :: factor**2]
        return out[:, :, : size[0], : size[1]]

    def skip(x: Tensor, name: str, maps: int, factor: int, size: Size, wanted: str) -> Tensor:
        if wanted != "always" and x.shape[1] == maps and factor == 1:
            return x
        if wanted == "zero_pad":
            x = torch.cat([x[:, :maps], torch.zeros(len(x), max(0, maps - x.shape[1]), *x.shape[2:], dtype=x.dtype)], 1)
            return enlarge(x, factor, size) if factor > 1 else x
        if placement == "original":
            return norm(conv(x, f"{name}.path.0", factor, size), f"{name}.path.1")
        return conv(x, f"{name}.path", factor, size)

    def join(x: Tensor, residual: Tensor, name: str, maps: int, factor: int, size: Size) -> Tensor:
        resize = model["resize"]
        if shortcut == "none":
            return residual
        if shortcut == "projection_norm" and x.shape[1] == maps and factor == 1:
            return norm(x, f"{name}.path.norm") + residual
        if shortcut == "projection_norm" and placement != "original":
            return norm(conv(x, f"{name}.path.0", factor, size), f"{name}.path.1.norm") + residual
        if shortcut in ("projection", "projection_norm", "zero_pad"):
            return skip(x, name, maps, factor, size, shortcut) + residual
        if shortcut == "conv":
            return skip(x, name, maps, factor, size, "always") + residual
        if shortcut == "constant_scaling":
            path = skip(x, name, maps, factor, size, resize)
            return model["shortcut_scale"] * path + model["residual_scale"] * residual
        if shortcut == "dropout":
            assert not train, "random"
            return skip(x, name, maps, factor, size, resize) + residual
        gate = torch.sigmoid(plain(x, f"{name}.gate.conv"))
        gate = enlarge(gate, factor, size) if factor > 1 else gate
        through = (1 - gate) * skip(x, name, maps, factor, size, resize)
        return through + (gate * residual if shortcut == "exclusive_gating" else residual)

    def unit(x: Tensor, name: str, maps: int, factor: int, size: Size, begins: str) -> Tensor:
        convs = {"bottleneck": 3, "basic": 2, "conv": 1}[kind]
        factors = [1] * convs
        factors[1 if kind == "bottleneck" and lineage["stride_on"] == "spatial" else 0] = factor
        y = split = x
        for i in range(convs):
            before = placement in ("full_preactivation", "relu_only_preactivation", "norm_first")
            if placement == "norm_first":
                y = norm(y, f"{name}.layers.{i}.before.norm")
                y = relu(y) if i > 0 else y
            elif before and not (begins == "decoder" and i == 0):
                y = relu(norm(y, f"{name}.layers.{i}.before.norm") if placement == "full_preactivation" else y)
            if (
                before
                and placement != "norm_first"
                and i == 0
                and lineage["projection_input"] == "activated"
                and (begins or shortcut == "conv")
            ):
                split = y
            y = conv(y, f"{name}.layers.{i}.conv", factors[i], size)
            is_last = i == convs - 1
            if (
                placement == "relu_only_preactivation"
                or (placement == "norm_first" and is_last)
                or (not before and not (placement == "bn_after_addition" and is_last))
            ):
                y = norm(y, f"{name}.layers.{i}.after.norm")
            if not before and (not is_last or placement == "relu_before_addition"):
                y = relu(y)
        y = join(split, y, f"{name}.shortcut", maps, factor, size)
        if placement == "bn_after_addition":
            return relu(norm(y, f"{name}.addition.norm"))
        return relu(y) if placement == "original" else y

    if head["latent_dim"] is not None and head["latent_layer"] == "map":
        x = plain(x, "decoder.entry.conv")
    else:
        for i in range(len(head["hidden"])):
            x = relu(x @ w[f"decoder.entry.hidden.{i}.0.weight"].T + w[f"decoder.entry.hidden.{i}.0.bias"])
        x = x @ w["decoder.entry.linear.weight"].T + w["decoder.entry.linear.bias"]
        x = x.reshape(len(x), filters[0], *sizes[-1])
    x = relu(norm(x, "decoder.entry.activation.norm"))
    for s in range(last + 1):
        size, begun = sizes[len(sizes) - 1 - s], x
        for u in range(units[s]):
            begins = "" if u > 0 else "stack" if s > 0 else "decoder"
            x = unit(x, f"decoder.stacks.{s}.units.{u}", filters[s], 2 if s > 0 and u == 0 else 1, size, begins)
        if model["bridges"] == "stack":
            x = x + conv(begun, f"decoder.stacks.{s}.bridge", 2 if s > 0 else 1, size)
    if placement in ("full_preactivation", "norm_first"):
        x = norm(x, "decoder.exit.activation.norm")
    if placement in ("full_preactivation", "relu_only_preactivation", "norm_first"):
        x = relu(x)
    if stem["pool"]:
        x = enlarge(x, 2, sizes[2])
    if stem["double"]:
        x = conv(x, "decoder.exit.second_conv", 2, sizes[1])
        x = relu(norm(x, "decoder.exit.second_activation.norm"))
    for name in ("last", "inner") if stem["deep"] else ():
        x = conv(x, f"decoder.exit.{name}_conv", 1, sizes[0])
        x = relu(norm(x, f"decoder.exit.{name}_activation.norm"))
    return conv(x, "decoder.exit.conv", stem["stride"], sizes[0])
