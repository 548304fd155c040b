"""CUDA graphs without a GPU: a step is recorded as operations on its tensors, and replayed without its Python code.

Recording changes no tensor that was there before. What is allocated while recording belongs to the graph: it holds
noise until a replay fills it, and again when another graph is replayed, since all graphs of a pool share their memory.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from resnet_lab.training.graphs import CudaGraph, GraphCapture, Step

REFUSED = "CUDA error: operation not permitted when stream is capturing"
NOISE = 0xFF  # in every byte: NaN as a float, and -1 as an integer
UNKNOWN = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}  # before the numbers are on the host
HOST = {Tensor.cpu, Tensor.numpy, Tensor.tolist}


def waits(func: Any, args: Any) -> bool:
    """Whether the host waits for what an operation computes."""
    if func is torch.ops.aten.index.Tensor:  # only a mask is counted first
        return any(isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    return bool(UNKNOWN & set(func.tags))


def tensors(nested: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(nested) if isinstance(leaf, Tensor)]


def storage(tensor: Tensor) -> Any:
    """The memory of a tensor, also of one of `support.cuda`."""
    return getattr(tensor, "host", tensor).untyped_storage()


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation with the tensors that it was recorded with. Of the tensors that it returned, `made` are new."""

    func: Any
    args: Any
    kwargs: Any
    returned: list[Tensor]
    made: list[bool]

    def replay(self) -> None:
        for recorded, computed, is_new in zip(
            self.returned, tensors(self.func(*self.args, **self.kwargs)), self.made, strict=True
        ):
            if is_new:
                recorded.copy_(computed)


class NoHostCopies(TorchFunctionMode):
    """Refuses copies to the host, which are no operations on the CPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in HOST:
            raise RuntimeError(f"{REFUSED}: {func}")
        return func(*args, **(kwargs or {}))


class Recording(TorchDispatchMode):
    """The operations of a step. Raises what CUDA raises if one of them waits for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self.before: dict[int, tuple[Any, Any]] = {}  # memory, and what it held
        self.made: dict[int, Any] = {}  # memory of the graph

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if waits(func, args) or func is torch.ops.aten.lift_fresh.default:  # the latter makes tensors of numbers
            raise RuntimeError(f"{REFUSED}: {func}")
        given = tensors((args, kwargs))
        for memory in map(storage, given):
            if self.is_new(memory):
                self.before[memory._cdata] = memory, memory.clone()
        result = func(*args, **kwargs)
        returned = tensors(result)
        if len({tensor.device for tensor in given + returned}) > 1:
            raise RuntimeError(f"{REFUSED}: {func} between devices")
        made = [self.is_new(storage(tensor)) for tensor in returned]
        self.made |= {memory._cdata: memory for memory in map(storage, returned) if self.is_new(memory)}
        self.operations.append(Operation(func, args, kwargs, returned, made))
        return result

    def is_new(self, memory: Any) -> bool:
        return memory._cdata not in self.before and memory._cdata not in self.made


class EmulatedGraph:
    """Stands for `torch.cuda.CUDAGraph`."""

    pool: list[Any]
    operations: list[Operation]

    def forget(self) -> None:
        for memory in self.pool:
            memory.fill_(NOISE)

    @torch.no_grad()
    def replay(self) -> None:
        self.forget()
        with torch._C._DisableAutocast():  # casts were recorded
            for operation in self.operations:
                operation.replay()


@contextmanager
def recorded(graph: EmulatedGraph, pool: list[Any], stream: "Stream") -> Iterator[None]:
    """Stands for `torch.cuda.graph`."""
    with torch.random.fork_rng(devices=[]), NoHostCopies(), Recording() as recording:
        yield
    for memory, content in recording.before.values():
        memory.copy_(content)
    pool += recording.made.values()
    graph.pool, graph.operations = pool, recording.operations
    graph.forget()


class Stream:
    """Stands for `torch.cuda.Stream`."""

    def __init__(self, *_: object) -> None:
        pass

    def wait_stream(self, other: "Stream") -> None:
        pass

    def record_event(self) -> None:
        pass

    def wait_event(self, event: None) -> None:
        pass


# What the lab uses of `torch.cuda` for graphs and copies.
EMULATED = {
    "CUDAGraph": EmulatedGraph,
    "graph": recorded,
    "graph_pool_handle": list,
    "Stream": Stream,
    "current_stream": Stream,
    "stream": lambda stream: nullcontext(),
}


class CountingCapture(GraphCapture):
    """Counts steps by the size of their mini-batch, and whether they train."""

    def __init__(self) -> None:
        super().__init__()
        self.warmed, self.recorded = Counter[tuple[int, bool]](), Counter[tuple[int, bool]]()

    def warm_up(self, step: Step, images_BCHW: Tensor, labels_B: Tensor) -> None:
        self.warmed[len(labels_B), torch.is_grad_enabled()] += 1
        super().warm_up(step, images_BCHW, labels_B)

    def record(self, step: Step, images_BCHW: Tensor, labels_B: Tensor) -> CudaGraph:
        self.recorded[len(labels_B), torch.is_grad_enabled()] += 1
        return super().record(step, images_BCHW, labels_B)


def assert_same(one: Any, other: Any) -> None:
    """The same numbers, bit for bit, in nested tensors."""
    torch.testing.assert_close(one, other, rtol=0, atol=0)
