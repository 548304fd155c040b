"""The limits of a machine, and the demands of a training step: arithmetic and memory traffic.

The traffic counts each pass over a tensor once, with pointwise operations fused into their neighbours and nothing kept
in caches between passes. Real kernels may need less where a cache helps, and more where nothing is fused.
"""

import copy
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

# On a GPU all are large, since a launch takes a few microseconds.
MATRIX = {"cpu": 2048, "cuda": 8192}  # side of the matrices whose product is measured
COPIED = {"cpu": 2**27, "cuda": 2**30}  # bytes, more than caches hold
AT_ONCE = {"cpu": 1, "cuda": 20}  # operations per synchronisation
OPTIMISER_PASSES = 7  # gradient written and read; weight and momentum read and written; the weight read by its layer


def step_bytes(net: nn.Module, image_shape: tuple[int, ...], batch_size: int, element: int) -> int:
    """Return the bytes that a training step of `batch_size` images moves; an element of a map has `element` bytes.

    Passes over input and output: a convolution or linear layer takes 2 forward (read, write) and 4 backward (output
    gradient for each of two products, input, input gradient); BatchNorm with the following ReLU takes 3 forward
    (statistics, read, write) and 5 backward (input and gradient for the sums, both again, write); an addition takes
    3 forward, and 3 backward where its two gradients are added.
    """
    meta_copy = copy.deepcopy(net).to("meta").train()
    with _Passes() as passes:
        meta_copy(torch.empty(2, *image_shape, device="meta"))  # BatchNorm may refuse a single image
    maps: int = passes.elements * batch_size // 2 * element
    weights = max(4, element) * sum(p.numel() for p in net.parameters())  # float32 under bf16 too
    return maps + OPTIMISER_PASSES * weights


class _Passes(TorchFunctionMode):
    """Adds up the elements of all maps, each as often as a step passes over it."""

    elements = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in (F.conv2d, F.linear):  # input: read, read again for the weights, its gradient written
            self.elements += 3 * args[0].numel() + 3 * result.numel()
        elif func is F.batch_norm:
            self.elements += 8 * result.numel()
        elif func is Tensor.add and result.dim() == 4:  # the sum of a unit
            self.elements += 6 * result.numel()
        return result


def macs_per_second(device: torch.device, dtype: torch.dtype) -> float:
    """Measure the multiply-accumulates per second of a large matrix product, the best of several rounds."""
    side = MATRIX[device.type]
    one, other = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return side**3 / _fastest(lambda: one @ other, device)


def bytes_per_second(device: torch.device) -> float:
    """Measure the bytes per second that a large copy reads and writes, the best of several rounds."""
    source = torch.zeros(COPIED[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * len(source) / _fastest(lambda: target.copy_(source), device)


def _fastest(work: Callable[[], object], device: torch.device, rounds: int = 10) -> float:
    seconds, count = [], AT_ONCE[device.type]
    for _ in range(rounds + 2):  # the first two warm up
        wait(device)
        start = time.perf_counter()
        for _ in range(count):
            work()
        wait(device)
        seconds.append((time.perf_counter() - start) / count)
    return min(seconds[2:])


def wait(device: torch.device) -> None:
    """Wait until the device has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
