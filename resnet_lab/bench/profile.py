"""Where the time of a training step goes: each kind of operation, and the host.

On a CPU, an operation is the outermost operator of PyTorch's profiler; on a GPU, a kernel, a copy or a fill. The host
has the rest of the wall time, in which no operation ran: Python, autograd and freed memory, or launches that a GPU
waits for.
"""

import os
import re
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity
from torch.utils._python_dispatch import TorchDispatchMode

from resnet_lab.bench.measure import bare_step, seconds_per_step
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Compile
from resnet_lab.config.schema import Config
from resnet_lab.interrupts import RunFailed
from resnet_lab.training.graphs import WARM_UP

ROUNDS = 10  # each kind of operation has its median, since other processes prolong some operations of some rounds
MOST_STEPS = 20  # in a round, since the profiler keeps all their operations in memory

INPUT_GRADIENTS, WEIGHT_GRADIENTS = "convolutions, input gradients", "convolutions, weight gradients"
HOST = "host"

# The kind of an operation, by the first pattern that the name of its operator or kernel matches. BatchNorm's kernels of
# both directions clear a counter (FillFunctor<int>). Not every kernel of cuDNN says which of the three products of a
# convolution it computes.
KINDS = {
    "compiled by inductor": r"^triton",
    "BatchNorm, backward": r"batch_norm_backward|batchnorm_bw|bn_bw",
    "BatchNorm, forward": r"batch_?norm|bn_fw|for_multi_outputs|FillFunctor<int>",
    "ReLU": r"aten::relu|clamp|threshold",
    "casts and copies": r"copy_kernel|Memcpy|CopyFunctor|copy_$|aten::(_?to|_to_copy|contiguous)$",
    "additions": r"CUDAFunctor_add|aten::add_?$",
    WEIGHT_GRADIENTS: r"wgrad",
    INPUT_GRADIENTS: r"dgrad",
    "convolutions, forward": r"fprop|aten::conv",
    "other products": r"[Cc]onv|nvjet|gemm|splitK|cudnn|cutlass|nhwc|Padding|aten::(linear|addmm|mm)$",
    "optimiser and counters": r"multi_tensor|[Ff]used|FunctorOnSelf|_foreach",
}
OTHERS = "loss and others"


def kind(name: str) -> str:
    """Return the kind of an operation."""
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, name)), OTHERS)


@dataclass
class Operations:
    """How often each operation ran, by name, and for how many seconds."""

    count: Counter[str]
    seconds: dict[str, float]


def profile(config: Config, seconds: float) -> dict[str, Any]:
    """Profile training steps, on images already on the device, for about that many seconds.

    Return the `device`, the milliseconds of a step under the profiler (`step_ms`) and without it (`bare_ms`), medians
    over rounds, and `kinds`: operations and milliseconds per step, and the share of `step_ms`. Raises ConfigError
    if inductor compiles for a CPU, and RunFailed if the profiler sees nothing.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler tells stderr of every start and stop otherwise
    with bare_step(config) as (step, totals):
        device = totals.loss.device
        if device.type == "cpu" and config.trainer.compile is Compile.inductor:
            what = "the profiler does not see what inductor compiles for a CPU"
            raise ConfigError(f"--profile: {what}; use trainer.compile=off")
        activity = ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.CPU
        seconds_per_step(step, WARM_UP + 1, device)
        steps = round(seconds / ROUNDS / 2 / seconds_per_step(step, 1, device))
        steps = max(1, min(MOST_STEPS, steps))
        bare, profiled, clocks = [], [], []
        for _ in range(ROUNDS):
            bare.append(seconds_per_step(step, steps, device))
            with torch.profiler.profile(activities=[activity]) as seen:
                wall = seconds_per_step(step, steps, device)
            profiled.append((seen, wall))
            if device.type == "cpu":
                with GradientClock() as clock:
                    step()
                clocks.append(clock)
    found = [(split(operators(seen), clocks) if clocks else kernels(seen), wall) for seen, wall in profiled]
    if not found[0][0].count:
        raise RunFailed("--profile: the profiler saw nothing run; with KINETO_LOG_LEVEL=0 it says why")
    wall = statistics.median(wall for _, wall in profiled)
    return {
        "device": device.type,
        "step_ms": 1000 * wall,
        "bare_ms": 1000 * statistics.median(bare),
        "kinds": shares([by_kind(operations, steps, wall) for operations, wall in found], wall),
    }


Kinds = dict[str, tuple[float, float]]  # operations and seconds of each kind in a step


def by_kind(operations: Operations, steps: int, wall: float) -> Kinds:
    """Sum up the operations of `steps` steps by kind; the host has what they leave of a step's `wall` seconds."""
    kinds = {HOST: (0.0, max(0.0, wall - sum(operations.seconds.values()) / steps))}
    for name, count in operations.count.items():
        number, seconds = kinds.get(kind(name), (0.0, 0.0))
        kinds[kind(name)] = (number + count / steps, seconds + operations.seconds[name] / steps)
    return kinds


def shares(rounds: Sequence[Kinds], wall: float) -> dict[str, dict[str, float]]:
    """Return the median of each kind over rounds, scaled to sum up to `wall` seconds, and its share; largest first."""
    medians = {name: statistics.median(kinds[name][1] for kinds in rounds) for name in rounds[0]}
    total = sum(medians.values())
    return {
        name: {"operations": rounds[0][name][0], "ms": 1000 * wall * seconds / total, "share": seconds / total}
        for name, seconds in sorted(medians.items(), key=lambda item: -item[1])
    }


def kernels(seen: torch.profiler.profile) -> Operations:
    """Return everything that ran on the GPU."""
    return _summed([event for event in seen.events() or [] if event.device_type.name == "CUDA"])


def operators(seen: torch.profiler.profile) -> Operations:
    """Return the outermost operators on the CPU; the time of an operator includes those that it calls."""
    return _summed([event for event in seen.events() or [] if _is_operator(event) and not _within_operator(event)])


def _is_operator(event: Any) -> bool:
    """Whether an event is an operator, as in aten::add, rather than a node or range of autograd, or an annotation."""
    return re.match(r"(?!torch::|autograd::)\w+::", event.name) is not None


def _within_operator(event: Any) -> bool:
    while (event := event.cpu_parent) is not None:
        if _is_operator(event):
            return True
    return False


def _summed(events: list[Any]) -> Operations:
    found = Operations(Counter(), {})
    for event in events:
        found.count[event.name] += 1
        found.seconds[event.name] = found.seconds.get(event.name, 0.0) + event.time_range.elapsed_us() / 1e6
    return found


class GradientClock(TorchDispatchMode):
    """Computes the gradients of convolutions one after the other: `dgrad`, `wgrad`, and how many calls wanted either.

    On a CPU, one call for both gradients runs the same two kernels, also one after the other.
    """

    def __init__(self) -> None:
        super().__init__()
        self.taken = Operations(Counter(), {"dgrad": 0.0, "wgrad": 0.0})
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.ops.aten.convolution_backward.default:
            return func(*args, **(kwargs or {}))
        self.calls += 1
        *others, (needs_input, needs_weight, needs_bias) = args
        of_input, _, _ = self._timed("dgrad", others, [needs_input, False, False])
        _, of_weight, of_bias = self._timed("wgrad", others, [False, needs_weight, needs_bias])
        return of_input, of_weight, of_bias

    def _timed(self, name: str, others: list[Any], mask: list[bool]) -> Any:
        if not any(mask):
            return None, None, None
        began = time.perf_counter()
        gradients = torch.ops.aten.convolution_backward.default(*others, mask)
        self.taken.seconds[name] += time.perf_counter() - began
        self.taken.count[name] += 1
        return gradients


BACKWARD = "aten::convolution_backward"


def split(operations: Operations, clocks: Sequence[GradientClock]) -> Operations:
    """Split the operator that computes both gradients of convolutions, in the ratio of the fastest clock."""
    if BACKWARD not in operations.count:
        return operations
    fastest = min(clocks, key=lambda clock: sum(clock.taken.seconds.values()))
    count, seconds = operations.count.pop(BACKWARD), operations.seconds.pop(BACKWARD)
    total = sum(fastest.taken.seconds.values())
    for name, taken in fastest.taken.seconds.items():
        operations.count[f"{BACKWARD} {name}"] = count * fastest.taken.count[name] // fastest.calls
        operations.seconds[f"{BACKWARD} {name}"] = seconds * taken / total
    return operations
