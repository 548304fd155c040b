"""Recording what a mini-batch does as a CUDA graph, and replaying it.

A step of a small network is a thousand kernels of some microseconds each, which Python launches more slowly than the
GPU computes them. A graph launches them all at once.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Step = Callable[[Tensor, Tensor], None]  # images (B, C, H, W), labels (B,)

# Before a shape of mini-batches is recorded, so many of them run as they are. They are steps like any other, in which
# cuDNN chooses its algorithms and the optimiser makes its buffers, neither of which a recording may contain.
WARM_UP = 3


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
    """Makes the graphs of one device, which share their memory: they never run at the same time, and pass on nothing.

    Steps that warm up run on the stream that graphs are recorded on, as PyTorch's notes on CUDA graphs ask for.
    """

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()
        self.pool = torch.cuda.graph_pool_handle()

    def warm_up(self, step: Step, images_BCHW: Tensor, labels_B: Tensor) -> None:
        """Take a step as it is."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            step(images_BCHW, labels_B)
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, step: Step, images_BCHW: Tensor, labels_B: Tensor) -> CudaGraph:
        return CudaGraph(step, images_BCHW, labels_B, self.stream, self.pool)


class GraphedStep:
    """A step that is recorded once for every shape, after some that warm up, and from then on replayed."""

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
            self.graphs[shape] = self.recorder.record(self.step, images_BCHW, labels_B)
        self.graphs[shape].replay(images_BCHW, labels_B)
