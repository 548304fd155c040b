"""The compiled kernels as functions of tensors: float32, channels last."""

import ctypes
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.profiler import record_function

from resnet_lab.kernels.build import libraries

P, N, D, F = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double, ctypes.c_int  # pointer, number, real number, flag
ARGUMENTS = {
    "norm_forward": (P, P, P, N, N, P, P, P, P, D, D, F, P, F),
    "norm_backward": (P, P, P, P, P, N, N, P, F, P, P, F),
    "winograd": (P, P, P, F, P, N, N, N, N, N, F),
    "winograd_kernels": (P, P, P, P, N, N, N, N, N, F),
}


class Watch:
    """What is known of the kernels' work."""

    seconds = 0.0  # that all have taken so far
    named = False  # whether they have names for a profiler


@contextmanager
def named() -> Iterator[None]:
    """Let profilers see the kernels as `kernels::…`."""
    Watch.named = True
    try:
        yield
    finally:
        Watch.named = False


@cache
def _kernel(name: str) -> Any:
    kernel = getattr(libraries()[name.partition("_")[0]], name)
    kernel.argtypes = ARGUMENTS[name]
    return kernel


def _call(name: str, what: str, *arguments: Any) -> None:
    """Call a kernel with tensors, numbers and, at the end, the number of threads. Raises MemoryError."""
    kernel = _kernel(name)
    given = [each.data_ptr() if isinstance(each, Tensor) else each for each in arguments]
    with record_function(f"kernels::{what}") if Watch.named else nullcontext():
        start = time.perf_counter()
        failed = kernel(*given, torch.get_num_threads())
        Watch.seconds += time.perf_counter() - start
    if failed:
        raise MemoryError(f"no memory for {name}")


def norm_forward(
    x_BCHW: Tensor,
    added_BCHW: Tensor | None,
    weight_C: Tensor,
    bias_C: Tensor,
    running: tuple[Tensor, Tensor],
    momentum: float,
    eps: float,
    with_relu: bool,
) -> tuple[Tensor, Tensor]:
    """Return BatchNorm of x, plus what is added, and ReLU of that; and the statistics for `norm_backward`, (5, C)."""
    channels = x_BCHW.shape[1]
    out_BCHW, state = torch.empty_like(x_BCHW), weight_C.new_empty(5, channels)
    rows = x_BCHW.numel() // channels
    tensors = x_BCHW, added_BCHW, out_BCHW, rows, channels, weight_C, bias_C, *running
    _call("norm_forward", "norm_forward", *tensors, momentum, eps, with_relu, state)
    return out_BCHW, state


def norm_backward(
    x_BCHW: Tensor, gradient_BCHW: Tensor, out_BCHW: Tensor | None, state: Tensor, with_relu: bool
) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    """Return the gradients of x, of what was added (if so, `out_BCHW` is given), of the weight and of the bias."""
    channels = x_BCHW.shape[1]
    inputs, weight_C, bias_C = torch.empty_like(x_BCHW), state.new_empty(channels), state.new_empty(channels)
    added = None if out_BCHW is None else torch.empty_like(x_BCHW)
    rows = x_BCHW.numel() // channels
    tensors = x_BCHW, gradient_BCHW, out_BCHW, inputs, added, rows, channels, state
    _call("norm_backward", "norm_backward", *tensors, with_relu, weight_C, bias_C)
    return inputs, added, weight_C, bias_C


def convolved(x_BCHW: Tensor, kernels_KCHW: Tensor) -> Tensor:
    """Return the 3×3 convolution with a border of zeros: (B, C, H, W) → (B, K, H, W)."""
    return _winograd("convolution", x_BCHW, kernels_KCHW, len(kernels_KCHW), kernels_KCHW.stride(), flips=False)


def gradient_of_input(gradient_BKHW: Tensor, kernels_KCHW: Tensor) -> Tensor:
    """Return the gradient of the input of `convolved`: the convolution with turned kernels, the other way."""
    of_k, of_c, *others = kernels_KCHW.stride()
    maps, strides = kernels_KCHW.shape[1], (of_c, of_k, *others)
    return _winograd("dgrad", gradient_BKHW, kernels_KCHW, maps, strides, flips=True)


def _winograd(what: str, x_BCHW: Tensor, kernels: Tensor, maps: int, strides: tuple[int, ...], flips: bool) -> Tensor:
    batch, channels, height, width = x_BCHW.shape
    out = torch.empty(batch, maps, height, width, memory_format=torch.channels_last)
    sizes = batch, height, width, channels, maps
    _call("winograd", what, x_BCHW, kernels, _numbers(strides), flips, out, *sizes)
    return out


def gradient_of_kernels(x_BCHW: Tensor, gradient_BKHW: Tensor, kernels_KCHW: Tensor) -> Tensor:
    """Return the gradient of the kernels of `convolved`."""
    batch, channels, height, width = x_BCHW.shape
    out = torch.empty_like(kernels_KCHW)
    sizes = batch, height, width, channels, gradient_BKHW.shape[1]
    _call("winograd_kernels", "wgrad", x_BCHW, gradient_BKHW, out, _numbers(out.stride()), *sizes)
    return out


def _numbers(strides: tuple[int, ...]) -> Any:
    return (ctypes.c_int64 * 4)(*strides)
