"""Batches: which images an epoch sees, in which order and how augmented."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from resnet_lab.config import Config
from resnet_lab.data.augment import Crops, crop_and_flip
from resnet_lab.data.images import Normalisation, ResidentImages

Batch = tuple[Tensor, Tensor]  # images (B, C, H, W), float32, normalised, in `memory_format`; labels (B,), int64


def memory_format(config: Config) -> torch.memory_format:
    """In which order images, and the network's weights, lie in memory."""
    return torch.channels_last if config.trainer.channels_last else torch.contiguous_format


class TrainLoader:
    """Every image once an epoch, shuffled and augmented by a generator of its own, seeded by (seed, epoch).

    One item holds `steps_per_call` mini-batches in a row; the last of an epoch may be smaller.
    """

    def __init__(
        self, images: ResidentImages, rows: np.ndarray, normalise: Normalisation, config: Config, steps_per_call: int
    ) -> None:
        self.images, self.rows, self.normalise = images, rows, normalise
        self.seed, self.pad, self.flip = config.seed, config.data.pad, config.data.flip
        self.memory_format = memory_format(config)
        self.num_batches, self.num_images = epoch_size(config, len(rows))
        self.images_per_call = steps_per_call * config.optim.batch_size
        self.sampler = self  # Lightning tells a loader's sampler the epoch
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch that the next iteration draws."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.num_images / self.images_per_call)

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = torch.from_numpy(self.rows[rng.permutation(len(self.rows))])
        order = order.to(self.images.pixels_NCHW.device)  # once an epoch: the GPU waits for each copy from the host
        crops = Crops.draw(rng, len(order), self.pad, self.flip).to(self.images.device)
        for start in range(0, self.num_images, self.images_per_call):
            stop = min(start + self.images_per_call, self.num_images)
            pixels, labels = self.images.take(order[start:stop])
            images = self.normalise(pixels)
            if self.pad or self.flip:
                images = crop_and_flip(images, crops.part(start, stop), self.pad)
            yield images.contiguous(memory_format=self.memory_format), labels


class EvalLoader:
    """Images as they are, in order, in large batches."""

    def __init__(self, images: ResidentImages, rows: np.ndarray, normalise: Normalisation, config: Config) -> None:
        self.images, self.normalise = images, normalise
        self.memory_format = memory_format(config)
        self.chunks = torch.from_numpy(rows).split(config.trainer.eval_batch_size)

    def __len__(self) -> int:
        return len(self.chunks)

    def __iter__(self) -> Iterator[Batch]:
        for rows in self.chunks:
            pixels, labels = self.images.take(rows)
            yield self.normalise(pixels).contiguous(memory_format=self.memory_format), labels


def epoch_size(config: Config, num_images: int) -> tuple[int, int]:
    """Mini-batches of an epoch, and the images in them, when there are `num_images` to train on."""
    batch_size = config.optim.batch_size
    batches = math.ceil(num_images / batch_size)
    if config.trainer.max_batches is not None:
        batches = min(batches, config.trainer.max_batches)
    return batches, min(num_images, batches * batch_size)
