"""Record the step of a mini-batch as a CUDA graph, and replay it.

A step of a small network is a thousand kernels of a few microseconds each. Python launches them more slowly than the
GPU runs them; a graph launches them all at once.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

Step = Callable[[Tensor, Tensor], None]  # images (B, C, H, W) and labels

# Steps that run eagerly before one is recorded, and are undone. In them cuDNN selects its algorithms and the optimiser
# allocates its buffers; a recording must contain neither.
WARM_UP = 3


class CaptureFailed(Exception):
    """A step could not be recorded. CUDA's own error at the end of a failed recording may hide the cause."""


class Recordable(Protocol):
    """A step that can list every tensor that it changes, apart from gradients."""

    def __call__(self, images_BCHW: Tensor, labels: Tensor, /) -> None: ...

    def state(self) -> Iterable[Tensor]: ...


class CudaGraph:
    """A step recorded on images and labels of one shape; recording computes nothing."""

    def __init__(self, step: Step, images_BCHW: Tensor, labels_B: Tensor, stream: torch.cuda.Stream, pool: Any) -> None:
        self.images_BCHW, self.labels_B = images_BCHW.clone(), labels_B.clone()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, pool=pool, stream=stream):
            step(self.images_BCHW, self.labels_B)

    def replay(self, images_BCHW: Tensor, labels_B: Tensor) -> None:
        self.images_BCHW.copy_(images_BCHW)
        self.labels_B.copy_(labels_B)
        self.graph.replay()


class GraphCapture:
    """Record the graphs of one device. They share memory, since they never overlap and pass nothing to each other.

    Warm-up steps run on the stream that records the graphs, as PyTorch's notes on CUDA graphs require.
    """

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()
        self.pool = torch.cuda.graph_pool_handle()

    def warm_up(self, step: Step, images_BCHW: Tensor, labels_B: Tensor) -> None:
        """Run a step without recording it."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            step(images_BCHW, labels_B)
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, step: Step, images_BCHW: Tensor, labels_B: Tensor) -> CudaGraph:
        return CudaGraph(step, images_BCHW, labels_B, self.stream, self.pool)


class GraphedStep:
    """A step that is recorded before its first mini-batch of each shape, and replayed for all of them.

    Every shape occurs in the first epoch, so a run that gets through it does not run out of memory for graphs later.
    """

    def __init__(self, step: Recordable, recorder: GraphCapture) -> None:
        self.step, self.recorder = step, recorder
        self.graphs: dict[torch.Size, CudaGraph] = {}

    def __call__(self, images_BCHW: Tensor, labels_B: Tensor) -> None:
        shape = images_BCHW.shape
        if shape not in self.graphs:
            self.graphs[shape] = self._recorded(images_BCHW, labels_B)
        self.graphs[shape].replay(images_BCHW, labels_B)

    def _recorded(self, images_BCHW: Tensor, labels_B: Tensor) -> CudaGraph:
        with undone(self.step, images_BCHW.device):
            for _ in range(WARM_UP):
                self.recorder.warm_up(self.step, images_BCHW, labels_B)
        try:
            return self.recorder.record(self.step, images_BCHW, labels_B)
        except Exception as error:
            raise CaptureFailed(f"a step could not be recorded as a CUDA graph: {error}") from error


@contextmanager
def undone(step: Recordable, device: torch.device) -> Iterator[None]:
    """At the end, restore all that the step changes, and the state of the device's random number generator.

    Buffers that an optimiser has allocated meanwhile become zero. Momentum and moments start from zero: the first step
    with a buffer of zeros gives the same numbers as the step that makes the buffer.
    """
    before = {tensor: tensor.to("cpu", copy=True) for tensor in step.state()}  # on the host, to use no GPU memory
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
    with torch.no_grad():
        for tensor in step.state():
            if tensor in before:
                tensor.copy_(before[tensor])
            else:
                tensor.zero_()
