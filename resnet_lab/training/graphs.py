"""Record the step of a mini-batch as a CUDA graph, and replay it.

A step of a small network is a thousand kernels of a few microseconds each. Python launches them more slowly than the
GPU runs them; a graph launches them all at once.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Step = Callable[[Tensor, Tensor], None]  # images (B, C, H, W) and labels

# Mini-batches of each shape that run eagerly before one is recorded. They are regular steps, in which cuDNN selects
# its algorithms and the optimiser allocates its buffers; a recording must contain neither.
WARM_UP = 3


class CaptureFailed(Exception):
    """A step could not be recorded. The cause may be hidden behind an error with which CUDA ended the recording."""


class CudaGraph:
    """A step recorded on images and labels of one shape; recording computes nothing."""

    def __init__(self, step: Step, images_BCHW: Tensor, labels_B: Tensor, stream: torch.cuda.Stream, pool: Any) -> None:
        self.images_BCHW, self.labels_B = torch.empty_like(images_BCHW), torch.empty_like(labels_B)
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
    """A step that is recorded once per shape, after `WARM_UP` eager steps, and replayed from then on."""

    def __init__(self, step: Step, recorder: GraphCapture) -> None:
        self.step, self.recorder = step, recorder
        self.warmed: Counter[torch.Size] = Counter()
        self.graphs: dict[torch.Size, CudaGraph] = {}

    def __call__(self, images_BCHW: Tensor, labels_B: Tensor) -> None:
        shape = images_BCHW.shape
        if shape not in self.graphs:
            if self.warmed[shape] < WARM_UP:
                self.warmed[shape] += 1
                self.recorder.warm_up(self.step, images_BCHW, labels_B)
                return
            self.graphs[shape] = self._record(images_BCHW, labels_B)
        self.graphs[shape].replay(images_BCHW, labels_B)

    def _record(self, images_BCHW: Tensor, labels_B: Tensor) -> CudaGraph:
        try:
            return self.recorder.record(self.step, images_BCHW, labels_B)
        except Exception as error:
            raise CaptureFailed(f"a step could not be recorded as a CUDA graph: {error}") from error
