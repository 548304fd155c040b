"""Let a network take its training steps with the kernels. Whatever has no native form, and all else, stays with torch.

Modules keep their types and weights: only `forward` of single objects is replaced, and computes as before unless a
gradient will be taken of float32 maps on the CPU, in channels-last layout.
"""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from resnet_lab.kernels.build import libraries
from resnet_lab.kernels.functions import Convolved, Normalised
from resnet_lab.model.modules import BatchNorm, BatchNorm2d, ResidualLayer
from resnet_lab.model.shortcuts import Projection, Sum, ZeroPadded
from resnet_lab.model.units import ResidualUnit

LEAST_MAPS = 16  # of a convolution: with fewer, torch's kernels are faster
LEAST_SIDE = 4  # of its maps
# Transformed kernels and their gradients do not stay in the caches of a processor where there are more than NARROW
# pairs of maps: it then takes MANY_TILES of 2×2 outputs in a mini-batch to pay for moving them.
NARROW, MANY_TILES = 128 * 128, 1024


def install(net: nn.Module) -> None:
    """Replace `forward` wherever there is a native form. Raises Unavailable if there are no kernels here."""
    libraries()
    for module in net.modules():
        for fits, forward in FORMS:
            if fits(module) and "forward" not in module.__dict__:  # activation checkpointing has replaced some
                module.forward = partial(forward, module)


def remove(net: nn.Module) -> None:
    """Undo `install`."""
    forms = [forward for _, forward in FORMS]
    for module in net.modules():
        if getattr(module.__dict__.get("forward"), "func", None) in forms:
            del module.forward


def _suits(x_BCHW: Tensor, maps: int, weight: Tensor) -> bool:
    """Whether the kernels can take the step of a module with these maps and weights."""
    if x_BCHW.dim() != 4 or x_BCHW.shape[1] != maps or not x_BCHW.is_contiguous(memory_format=torch.channels_last):
        return False
    is_plain = all(each.dtype is torch.float32 and each.device.type == "cpu" for each in (x_BCHW, weight))
    return is_plain and weight.requires_grad and torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")


def _is_norm(module: nn.Module) -> bool:
    return type(module) is BatchNorm2d and module.affine and module.track_running_stats


def _normalises(norm: Any, x_BCHW: Tensor) -> bool:
    """Whether a norm can be native; torch refuses a single value for each channel."""
    is_own = norm.training and not norm.counts and not norm.synchronised
    return is_own and _suits(x_BCHW, norm.num_features, norm.weight) and x_BCHW.numel() > norm.num_features


def _normalised(norm: Any, x_BCHW: Tensor, added_BCHW: Tensor | None, with_relu: bool) -> Tensor:
    momentum = (norm.momentum or 0.0) if BatchNorm.updates else 0.0
    return Normalised.apply(x_BCHW, added_BCHW, norm.weight, norm.bias, norm, momentum, with_relu)


def _norm(norm: Any, x_BCHW: Tensor) -> Tensor:
    if _normalises(norm, x_BCHW):
        return _normalised(norm, x_BCHW, None, with_relu=False)
    return BatchNorm2d.forward(norm, x_BCHW)


def _is_activation(module: nn.Module) -> bool:
    """Whether a module is BatchNorm and ReLU."""
    children = [*module.children()] if type(module) is nn.Sequential else []
    return len(children) == 2 and _is_norm(children[0]) and type(children[1]) is nn.ReLU


def _activation(sequence: Any, x_BCHW: Tensor) -> Tensor:
    norm, _ = sequence
    if _normalises(norm, x_BCHW):
        return _normalised(norm, x_BCHW, None, with_relu=True)
    return nn.Sequential.forward(sequence, x_BCHW)


def _is_convolution(module: nn.Module) -> bool:
    return (
        type(module) is nn.Conv2d
        and (module.kernel_size, module.stride, module.padding) == ((3, 3), (1, 1), (1, 1))
        and (module.dilation, module.groups, module.bias, module.padding_mode) == ((1, 1), 1, None, "zeros")
        and min(module.in_channels, module.out_channels) >= LEAST_MAPS
    )


def _pays_off(conv: nn.Conv2d, x_BCHW: Tensor) -> bool:
    images, _, height, width = x_BCHW.shape
    tiles = images * math.ceil(height / 2) * math.ceil(width / 2)
    is_narrow = conv.in_channels * conv.out_channels <= NARROW
    return min(height, width) >= LEAST_SIDE and (is_narrow or tiles >= MANY_TILES)


def _convolution(conv: Any, x_BCHW: Tensor) -> Tensor:
    if conv.training and _suits(x_BCHW, conv.in_channels, conv.weight) and _pays_off(conv, x_BCHW):
        return Convolved.apply(x_BCHW, conv.weight)
    return nn.Conv2d.forward(conv, x_BCHW)


def _is_original(module: Any) -> bool:
    """Whether a module is a unit of ResNet V1 without options: relu(norm(conv(…)) + shortcut)."""
    if getattr(type(module), "forward", None) is not ResidualUnit.forward:  # or someone's own unit
        return False
    if module.attention or module.activated_shortcut or len(module.branch_end):
        return False
    if type(module.layers[-1]) is not ResidualLayer:
        return False
    last: Any = module.layers[-1]
    return (
        type(module.shortcut) in (Sum, Projection, ZeroPadded)
        and [type(child) for child in module.addition] == [nn.ReLU]
        and len(last.after) == 1
        and _is_norm(last.after[0])
        and isinstance(last.dropout, nn.Identity)
    )


def _original(unit: Any, x_BCHW: Tensor) -> Tensor:
    last = unit.layers[-1]
    [norm] = last.after
    if not (norm.training and torch.is_grad_enabled()):
        return ResidualUnit.forward(unit, x_BCHW)
    residual_BCHW = x_BCHW
    for layer in unit.layers[:-1]:
        residual_BCHW = layer(residual_BCHW)
    residual_BCHW = last.conv(last.before(residual_BCHW))
    added_BCHW = unit.shortcut.path(x_BCHW)
    if _normalises(norm, residual_BCHW) and added_BCHW.shape == residual_BCHW.shape:
        return _normalised(
            norm, residual_BCHW, added_BCHW.contiguous(memory_format=torch.channels_last), with_relu=True
        )
    summed: Tensor = unit.addition(added_BCHW + last.after(residual_BCHW))
    return summed


FORMS = ((_is_norm, _norm), (_is_activation, _activation), (_is_convolution, _convolution), (_is_original, _original))
