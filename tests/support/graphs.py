"""A CUDA graph on the CPU: a step is recorded as operations on its very tensors, and replayed without its Python code.

Recording changes no tensor that was there before. What is allocated while recording belongs to the graph: it holds
noise until a replay fills it, and again when another graph is replayed, since all graphs share their memory.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from resnet_lab.training.graphs import Step

MESSAGE = "CUDA error: operation not permitted when stream is capturing"
NOISE = 0xFF  # in every byte: NaN as a float, and -1 as an integer

# Results that Python or the size of a tensor must know.
VALUES = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
HOST = {Tensor.cpu, Tensor.numpy, Tensor.tolist}


def waits(func: Any, args: Any) -> bool:
    """Whether an operation makes the host wait for the device; numbers from Python become a tensor by `lift_fresh`."""
    if func is torch.ops.aten.index.Tensor:  # only a mask is counted first
        return any(isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    return bool(VALUES & set(func.tags)) or func is torch.ops.aten.lift_fresh.default


class NoHostCopies(TorchFunctionMode):
    """Refuses copies to the host, which on the CPU are no operation."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in HOST:
            raise RuntimeError(f"{MESSAGE}: {func}")
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation with the tensors that it was recorded with; `made` are those that it allocated."""

    func: Any
    args: Any
    kwargs: Any
    made: list[tuple[int, Tensor]]  # by their places among all that it returned

    def replay(self) -> None:
        returned = tree_leaves(self.func(*self.args, **self.kwargs))
        for place, tensor in self.made:
            tensor.copy_(returned[place])


class Recording(TorchDispatchMode):
    """The operations of a step. Raises what CUDA raises if one of them waits for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self.before: dict[int, tuple[Any, Any]] = {}  # storages, and what they held
        self.memory: dict[int, Any] = {}  # storages of the graph

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if waits(func, args):
            raise RuntimeError(f"{MESSAGE}: {func}")
        for _, tensor in self.unknown((args, kwargs)):
            storage = tensor.untyped_storage()
            self.before[storage._cdata] = storage, storage.clone()
        result = func(*args, **kwargs)
        made = list(self.unknown(result))
        self.memory |= {tensor.untyped_storage()._cdata: tensor.untyped_storage() for _, tensor in made}
        self.operations.append(Operation(func, args, kwargs, made))
        return result

    def unknown(self, nested: Any) -> Iterator[tuple[int, Tensor]]:
        """Yield the tensors whose storages no operation had or made so far, and their places."""
        for place, leaf in enumerate(tree_leaves(nested)):
            if isinstance(leaf, Tensor):
                key = leaf.untyped_storage()._cdata
                if key not in self.before and key not in self.memory:
                    yield place, leaf


class EmulatedGraph:
    """Stands for `CudaGraph`; `pool` is the memory of all graphs."""

    def __init__(self, step: Step, images_BCHW: Tensor, labels_B: Tensor, pool: list[Any]) -> None:
        self.images, self.labels, self.pool = torch.zeros_like(images_BCHW), torch.zeros_like(labels_B), pool
        with torch.random.fork_rng(devices=[]), NoHostCopies(), Recording() as recording:
            step(self.images, self.labels)
        self.operations = recording.operations
        for storage, content in recording.before.values():
            storage.copy_(content)
        pool += recording.memory.values()
        self.forget()

    def forget(self) -> None:
        for storage in self.pool:
            storage.fill_(NOISE)

    @torch.no_grad()
    def replay(self, images_BCHW: Tensor, labels_B: Tensor) -> None:
        self.images.copy_(images_BCHW)
        self.labels.copy_(labels_B)
        self.forget()
        with torch.autocast("cpu", enabled=False):  # casts were recorded
            for operation in self.operations:
                operation.replay()


@dataclass
class EmulatedCapture:
    """Stands for `GraphCapture`, and counts steps by the size of their mini-batch, and whether they train."""

    warmed: Counter[tuple[int, bool]] = field(default_factory=Counter)
    recorded: Counter[tuple[int, bool]] = field(default_factory=Counter)
    pool: list[Any] = field(default_factory=list)

    def warm_up(self, step: Step, images_BCHW: Tensor, labels_B: Tensor) -> None:
        self.warmed[len(labels_B), torch.is_grad_enabled()] += 1
        step(images_BCHW, labels_B)

    def record(self, step: Step, images_BCHW: Tensor, labels_B: Tensor) -> EmulatedGraph:
        self.recorded[len(labels_B), torch.is_grad_enabled()] += 1
        return EmulatedGraph(step, images_BCHW, labels_B, self.pool)
