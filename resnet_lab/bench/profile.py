"""Where the time of a training step goes: each kind of operation, and the host.

On a CPU, an operation is an outermost operator of PyTorch's profiler; on a GPU, a kernel, a copy or a fill. The rest of
the wall time, in which no operation ran, is the host's: Python, autograd and freeing memory, or launches that a GPU
waits for.
"""

import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch.profiler import ProfilerActivity
from torch.utils._python_dispatch import TorchDispatchMode

from resnet_lab.bench.measure import bare_step, seconds_per_step
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Compile
from resnet_lab.config.schema import Config
from resnet_lab.interrupts import RunFailed
from resnet_lab.kernels.native import named
from resnet_lab.training.graphs import WARM_UP

ROUNDS = 6
MOST_STEPS = 20  # in a round, since the profiler keeps all their operations in memory

INPUT_GRADIENTS, WEIGHT_GRADIENTS = "convolutions, input gradients", "convolutions, weight gradients"
HOST = "host"

# The kind of an operation, by the first pattern that the name of its operator or kernel matches. BatchNorm's kernels of
# both directions clear a counter (FillFunctor<int>). Not every kernel of cuDNN says which of the three products of a
# convolution it computes. Own kernels are `kernels::…`; those of BatchNorm include ReLU, and in ResNet V1 the sum.
KINDS = {
    "compiled by inductor": r"^triton",
    "BatchNorm, backward": r"norm_backward|batchnorm_bw|bn_bw",
    "BatchNorm, forward": r"batch_?norm|norm_forward|bn_fw|for_multi_outputs|FillFunctor<int>",
    "ReLU": r"aten::relu|clamp|threshold",
    "casts and copies": r"copy_kernel|Memcpy|CopyFunctor|copy_$|aten::(_?to|_to_copy|contiguous)$",
    "additions": r"CUDAFunctor_add|aten::add_?$",
    WEIGHT_GRADIENTS: r"wgrad",
    INPUT_GRADIENTS: r"dgrad",
    "convolutions, forward": r"fprop|aten::conv|kernels::conv",
    "other products": r"[Cc]onv|nvjet|gemm|splitK|cudnn|cutlass|nhwc|Padding|aten::(linear|addmm|mm)$",
    "optimiser and counters": r"multi_tensor|[Ff]used|FunctorOnSelf|_foreach",
}
OTHERS = "loss and others"


def kind(name: str) -> str:
    """Return the kind of an operation."""
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, name)), OTHERS)


Operations = dict[str, list[float]]  # by name, the seconds of each operation, in the order in which they began


def profile(config: Config, seconds: float) -> dict[str, Any]:
    """Profile training steps for about `seconds`, on images already on the device.

    Return `device`; `step_ms` and `bare_ms`, the milliseconds of a step with and without the profiler, in the fastest
    round; and `kinds`: the operations and milliseconds of each kind in a step, and its share of `step_ms`. Raises
    ConfigError if inductor compiles for a CPU, and RunFailed if the profiler sees nothing.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # by default, the profiler reports every start and stop on stderr
    with bare_step(config) as (step, totals):
        device = totals.loss.device
        if device.type == "cpu" and config.trainer.compile is Compile.inductor:
            what = "the profiler does not see what inductor compiles for a CPU"
            raise ConfigError(f"--profile: {what}; use trainer.compile=off")
        activity = ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.CPU
        seconds_per_step(step, WARM_UP + 1, device)
        steps = round(seconds / ROUNDS / 2 / seconds_per_step(step, 1, device))
        steps = max(1, min(MOST_STEPS, steps))
        bare, walls, rounds, clocks = [], [], [], []
        for _ in range(ROUNDS):
            bare.append(seconds_per_step(step, steps, device))
            with named(), torch.profiler.profile(activities=[activity]) as seen:
                walls.append(seconds_per_step(step, steps, device))
            rounds.append(kernels(seen) if device.type == "cuda" else operators(seen))
            if device.type == "cpu":
                with GradientClock() as clock:
                    step()
                clocks.append(clock)
    if not rounds[0]:
        raise RunFailed("--profile: the profiler saw nothing run; with KINETO_LOG_LEVEL=0 it says why")
    operations = split(fastest(rounds), fastest([clock.times for clock in clocks]))
    host = min(wall - total(each) / steps for wall, each in zip(walls, rounds, strict=True))
    return {
        "device": device.type,
        "step_ms": 1000 * min(walls),
        "bare_ms": 1000 * min(bare),
        "kinds": shares(operations, steps, max(0.0, host), min(walls)),
    }


def fastest(rounds: Sequence[Operations]) -> Operations:
    """Return the least time of each operation over the rounds, since other processes slow down some in every round."""
    names = dict.fromkeys(name for each in rounds for name in each)
    return {
        name: [min(times) for times in zip(*(each.get(name, []) for each in rounds), strict=False)] for name in names
    }


def total(operations: Operations) -> float:
    """Return the seconds of all operations."""
    return sum(map(sum, operations.values()))


def shares(operations: Operations, steps: int, host: float, wall: float) -> dict[str, dict[str, float]]:
    """Return the `operations`, `ms` and `share` of a step for each kind, the largest first.

    `operations` are those of `steps` steps; `host` and `wall` are the seconds of the host in a step, and of a step.
    Times are scaled to add up to `wall`.
    """
    count, seconds = Counter[str](), {HOST: host}
    for name, times in operations.items():
        count[kind(name)] += len(times)
        seconds[kind(name)] = seconds.get(kind(name), 0.0) + sum(times) / steps
    whole = sum(seconds.values())
    return {
        name: {"operations": count[name] / steps, "ms": 1000 * wall * taken / whole, "share": taken / whole}
        for name, taken in sorted(seconds.items(), key=lambda item: -item[1])
    }


def kernels(seen: torch.profiler.profile) -> Operations:
    """Return the times of everything that ran on the GPU."""
    return _times([event for event in seen.events() or [] if event.device_type.name == "CUDA"])


def operators(seen: torch.profiler.profile) -> Operations:
    """Return the times of the outermost operators on the CPU, each with the operators that it calls."""
    return _times([event for event in seen.events() or [] if _is_operator(event) and not _within_operator(event)])


def _is_operator(event: Any) -> bool:
    """Whether an event is an operator, as in aten::add, rather than a node or range of autograd, or an annotation."""
    return re.match(r"(?!torch::|autograd::)\w+::", event.name) is not None


def _within_operator(event: Any) -> bool:
    while (event := event.cpu_parent) is not None:
        if _is_operator(event):
            return True
    return False


def _times(events: list[Any]) -> Operations:
    found: Operations = {}
    for event in sorted(events, key=lambda event: event.time_range.start):
        found.setdefault(event.name, []).append(event.time_range.elapsed_us() / 1e6)
    return found


class GradientClock(TorchDispatchMode):
    """Computes the two gradients of each convolution one after the other, and measures them: `dgrad` and `wgrad`.

    On a CPU, one call for both gradients runs the same two kernels, also one after the other. Only torch's dispatch
    modes, which its notes on extending describe, see the operations of a backward pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self.times: Operations = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.ops.aten.convolution_backward.default:
            return func(*args, **(kwargs or {}))
        *others, (needs_input, needs_weight, needs_bias) = args
        of_input, _, _ = self._timed("dgrad", others, [needs_input, False, False])
        _, of_weight, of_bias = self._timed("wgrad", others, [False, needs_weight, needs_bias])
        return of_input, of_weight, of_bias

    def _timed(self, name: str, others: list[Any], mask: list[bool]) -> Any:
        if not any(mask):
            return None, None, None
        began = time.perf_counter()
        gradients = torch.ops.aten.convolution_backward.default(*others, mask)
        self.times.setdefault(name, []).append(time.perf_counter() - began)
        return gradients


BACKWARD = "aten::convolution_backward"


def split(operations: Operations, gradients: Operations) -> Operations:
    """Split the operator for both gradients of convolutions in the ratio of the times that a GradientClock measured."""
    if not (times := operations.pop(BACKWARD, [])):
        return operations
    calls = max(map(len, gradients.values()))  # in a step; the first convolution has no input gradient
    for name, taken in gradients.items():
        share, count = sum(taken) / total(gradients), len(times) * len(taken) // calls
        operations[f"{BACKWARD} {name}"] = [sum(times) * share / count] * count
    return operations
