"""A DataLoader as most people write it, which yields exactly the batches of a task."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from benchmarks.task import MEAN, STD, Task, normalised

Drawn = tuple[int, int, int, bool]  # row, top, left, mirrored


class Pictures(Dataset[tuple[Tensor, int]]):
    """PIL images, transformed one by one as by RandomCrop, RandomHorizontalFlip, ToTensor and Normalize.

    The random draws come with the index.
    """

    def __init__(self, task: Task) -> None:
        source = task.images()
        self.pixels_NHWC = np.ascontiguousarray(np.moveaxis(np.asarray(source.pixels), 1, 3))
        self.labels_N, self.pad = source.labels, task.config.augment["crop"].pad
        self.mean, self.std = (torch.tensor(values)[:, None, None] for values in ([m / 255 for m in MEAN], STD))

    def __len__(self) -> int:
        return len(self.labels_N)

    def __getitem__(self, drawn: Drawn) -> tuple[Tensor, int]:
        row, top, left, mirrored = drawn
        picture = Image.fromarray(self.pixels_NHWC[row])
        size = picture.size
        picture = ImageOps.expand(picture, self.pad, fill=MEAN)
        picture = picture.crop((left, top, left + size[0], top + size[1]))
        if mirrored:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels_CHW = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
        return normalised(pixels_CHW, self.mean, self.std), int(self.labels_N[row])


class TaskSampler(Sampler[list[Drawn]]):
    """Yields the mini-batches of an epoch, then of the next one at the next iteration."""

    def __init__(self, task: Task) -> None:
        self.task, self.epoch = task, 0

    def __len__(self) -> int:
        return self.task.steps

    def __iter__(self) -> Iterator[list[Drawn]]:
        drawn = list(zip(*(values.tolist() for values in self.task.epoch(self.epoch)), strict=True))
        self.epoch += 1
        for start in range(0, len(drawn), self.task.batch_size):
            yield drawn[start : start + self.task.batch_size]


def loader(task: Task, num_workers: int, **how: Any) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return a loader of batches (images, labels) on the host."""
    pictures: Dataset[Any] = Pictures(task)
    return DataLoader(pictures, batch_sampler=TaskSampler(task), num_workers=num_workers, **how)
