"""The bare loop: images on the device, no synchronisation, and on a GPU the whole step as one CUDA graph.

It shares no code with the lab's engine, so that it is an independent upper limit (roof) for its speed.
"""

import ctypes
import platform

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.implementations import Observer, Trained
from benchmarks.task import MEAN, STD, Task, normalised

WARM_UP = 3  # training steps before the graph is captured
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEPT = 2**30  # bytes, more than any activation here


def train(task: Task, observer: Observer, graphs: bool | None = None) -> Trained:
    """Train all epochs; eager on a CPU, or if `graphs` is False."""
    step = Step(task)
    lr, number = looped(task, observer, step, graphs=task.device.type == "cuda" if graphs is None else graphs)
    return Trained.of(step.net, step.optimizer, lr, number)


def looped(task: Task, observer: Observer, step: "Step", graphs: bool) -> tuple[float, int]:
    """Train all epochs by a step; return the last learning rate and the number of steps."""
    torch.backends.cudnn.benchmark = True
    if task.device.type == "cpu":
        torch.set_num_threads(task.threads)
        keep_large_blocks()
    replayed = Graph(step) if graphs else step
    number = 0
    for epoch in range(task.epochs):
        observer.epoch_begins()
        draws = torch.stack([torch.from_numpy(drawn).long() for drawn in task.epoch(epoch)], dim=1).to(task.device)
        for draws_B4 in draws.split(task.batch_size):
            lr = task.config.optim.lr * task.lr_factor(number)
            step.set_lr(lr)
            replayed(draws_B4)
            observer.step(step.images, step.labels, step.loss)
            number += 1
        observer.epoch_ends()
    return lr, number


def keep_large_blocks() -> None:
    """Let glibc reuse the memory of large activations, instead of returning it to the system at every step."""
    if platform.libc_ver()[0] == "glibc":
        for parameter in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
            ctypes.CDLL(None).mallopt(parameter, KEPT)


class Step:
    """Augmentation, forward, loss, backward and update; `images`, `labels` and `loss` are from the last step."""

    def __init__(self, task: Task) -> None:
        source, pad, device = task.images(), task.config.augment["crop"].pad, task.device
        pixels_NHWC = torch.from_numpy(source.pixels).permute(0, 2, 3, 1)
        count, self.height, self.width, channels = pixels_NHWC.shape
        self.padded_NHWC = torch.empty(count, self.height + 2 * pad, self.width + 2 * pad, channels, dtype=torch.uint8)
        self.padded_NHWC[:] = torch.tensor(MEAN, dtype=torch.uint8)
        self.padded_NHWC[:, pad : pad + self.height, pad : pad + self.width] = pixels_NHWC
        self.padded_NHWC = self.padded_NHWC.to(device)
        self.labels_N = torch.from_numpy(source.labels).to(device)
        self.mean, self.std = (torch.tensor(MEAN, device=device) / 255).float(), torch.tensor(STD, device=device)
        self.row_H, self.column_W = torch.arange(self.height, device=device), torch.arange(self.width, device=device)
        self.net = task.network().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = task.sgd(self.net, fused=True)
        if device.type == "cuda":
            self.optimizer.param_groups[0]["lr"] = torch.tensor(task.config.optim.lr, device=device)
        self.lr = task.config.optim.lr
        self.autocast = torch.autocast(device.type, torch.bfloat16, enabled=task.bf16, cache_enabled=False)

    def set_lr(self, lr: float) -> None:
        """Set the learning rate of the next step; on a GPU in place, so that a graph reads it."""
        if lr != self.lr:
            self.lr, [group] = lr, self.optimizer.param_groups
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr

    def __call__(self, draws_B4: Tensor) -> None:
        """Train on one mini-batch, given the row, corner and mirroring of each of its images."""
        row_B, top_B, left_B, flip_B = draws_B4.unbind(dim=1)
        self.images, self.labels = self.augmented(row_B, top_B, left_B, flip_B), self.labels_N[row_B]
        with self.autocast:
            self.loss = F.cross_entropy(self.net(self.images), self.labels)
        self.optimizer.zero_grad()
        self.loss.backward()
        self.optimizer.step()

    def augmented(self, row_B: Tensor, top_B: Tensor, left_B: Tensor, flip_B: Tensor) -> Tensor:
        """Crop the padded pixels, mirror and normalise them: (B, C, H, W), channels last."""
        column_BW = torch.where(flip_B[:, None] > 0, self.width - 1 - self.column_W, self.column_W) + left_B[:, None]
        row_BH = top_B[:, None] + self.row_H
        cut_BHWC = self.padded_NHWC[row_B[:, None, None], row_BH[:, :, None], column_BW[:, None, :]]
        return normalised(cut_BHWC, self.mean, self.std).permute(0, 3, 1, 2)


class Graph:
    """The step as a CUDA graph: two launches per step, one for the draws and one for all the rest."""

    def __init__(self, step: Step) -> None:
        self.step, self.warmed = step, 0
        self.stream = torch.cuda.Stream()
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, draws_B4: Tensor) -> None:
        """Take the step, and capture it after WARM_UP steps."""
        if self.warmed < WARM_UP:
            self.warmed += 1
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                self.step(draws_B4)
            torch.cuda.current_stream().wait_stream(self.stream)
            return
        if self.graph is None:
            self.draws_B4, self.graph = draws_B4.clone(), torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, stream=self.stream):
                self.step(self.draws_B4)
        self.draws_B4.copy_(draws_B4)
        self.graph.replay()
