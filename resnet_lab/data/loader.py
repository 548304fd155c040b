"""Batches: the images of an epoch, their order and their augmentation."""

import math
from collections.abc import Iterator
from typing import assert_never

import numpy as np
import torch
from torch import Tensor

from resnet_lab.config.enums import Corruption, Sampler
from resnet_lab.config.schema import Config
from resnet_lab.data.augment import PartOfImage, active_augmentations, augmented
from resnet_lab.data.corrupt import corrupted
from resnet_lab.data.images import Normalisation
from resnet_lab.data.stores import ImageStore

# Images (B, C, H, W), float32, normalised, in `memory_format`; labels as in the data set, (B,) int64 for classes, or
# as changed by augmentations.
Batch = tuple[Tensor, Tensor]

ALL = slice(None)  # images of a batch

CORRUPTION = 2  # tells the stream of random numbers for `data.corrupt` from others


def memory_format(config: Config) -> torch.memory_format:
    """Return the memory layout of images and of the network's weights."""
    images = config.data.dims == 2
    return torch.channels_last if images and config.trainer.channels_last else torch.contiguous_format


class Loader:
    """What loaders share: how the images of a batch get their final form.

    Of several processes that share each batch, one has the images that `part` selects.
    """

    mixes = False  # whether an augmentation mixes the images of a mini-batch

    def __init__(self, images: ImageStore, normalise: Normalisation, config: Config, part: slice) -> None:
        self.images, self.normalise, self.part = images, normalise, part
        self.memory_format = memory_format(config)
        self.corrupt = config.data.corrupt

    @property
    def read(self) -> slice:
        """Which images of a batch are read: all if they are mixed, or share a stream of random numbers."""
        return ALL if self.mixes or self.corrupt.kind is not Corruption.none else self.part

    def read_of(self, count: int) -> int:
        """Return how many of `count` images are read at most."""
        return math.ceil(count / (self.read.step or 1))

    def batch(self, images_BCHW: Tensor, labels: Tensor, noise: np.random.Generator) -> Batch:
        """Return images and labels; with `data.corrupt`, corrupted images, and the originals as labels."""
        if self.corrupt.kind is not Corruption.none:
            labels = images_BCHW.contiguous(memory_format=self.memory_format)
            images_BCHW = corrupted(images_BCHW, self.corrupt, self.normalise, noise)
        if self.read != self.part:
            images_BCHW, labels = images_BCHW[self.part], labels[self.part]
        return images_BCHW.contiguous(memory_format=self.memory_format), labels


class TrainLoader(Loader):
    """Yields the images of an epoch, chosen by `data.sampler`, augmented by a generator seeded with (seed, epoch).

    With `trainer.max_batches`, an epoch ends earlier, and not all images are used.

    One item holds `steps_per_call` consecutive mini-batches; the last item of an epoch may be smaller.
    """

    def __init__(
        self,
        images: ImageStore,
        rows: np.ndarray,
        normalise: Normalisation,
        config: Config,
        steps_per_call: int,
        part: slice = ALL,
    ) -> None:
        super().__init__(images, normalise, config, part)
        self.rows = rows
        self.seed, self.batch_size = config.seed, config.optim.batch_size
        active = active_augmentations(config, normalise)
        views = [each for each in active if isinstance(each, PartOfImage)]
        self.views = views[0] if config.data.whole else None  # drawn here, and cut out where files are decoded
        self.augmentations = [each for each in active if each is not self.views]
        self.mixes = any(augmentation.mixes for augmentation in self.augmentations)
        self.sampler_kind = config.data.sampler
        self.num_batches, self.num_images = epoch_size(config, len(rows))
        self.images_per_call = steps_per_call * self.batch_size
        self.sampler = self  # Lightning passes the epoch only to a loader's sampler (training.lightning)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.num_images / self.images_per_call)

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = self.rows[self._drawn(rng)]
        whole = [each.draw(rng, len(order)) for each in self.augmentations]
        noise = np.random.default_rng([self.seed, self.epoch, CORRUPTION])
        boxes = self.views.boxes(rng, self.images.sizes(order)) if self.views else None
        read, device = np.arange(self.num_images)[self.read], self.images.device
        drawn = [[tensor[read].to(device) for tensor in tensors] for tensors in whole]
        size = self.read_of(self.images_per_call)
        calls = self.images.batches(order[read], size, None if boxes is None else boxes[read])
        for number, (pixels, labels) in enumerate(calls):
            call = slice(number * size, number * size + len(pixels))
            images = self.normalise(pixels)
            for augmentation, tensors in zip(self.augmentations, drawn, strict=True):
                parts = [tensor[call] for tensor in tensors]
                images, labels = augmented(augmentation, images, labels, parts, self.batch_size)
            yield self.batch(images, labels, noise)

    def _drawn(self, rng: np.random.Generator) -> np.ndarray:
        """Draw which of `rows` make up an epoch, in order (N,)."""
        count = len(self.rows)
        match self.sampler_kind:
            case Sampler.shuffle:
                return rng.permutation(count)
            case Sampler.balanced:
                labels = self.images.labels_N.cpu().numpy()[self.rows]
                weights = balanced_weights(labels)[labels]
                return rng.choice(count, count, p=weights / weights.sum())
            case _:
                assert_never(self.sampler_kind)


class EvalLoader(Loader):
    """Images without augmentation, in order, in large batches; empty ones for a process to which none is left."""

    def __init__(
        self, images: ImageStore, rows: np.ndarray, normalise: Normalisation, config: Config, part: slice = ALL
    ) -> None:
        super().__init__(images, normalise, config, part)
        self.rows, self.size = rows[self.read], config.trainer.eval_batch_size

    def __len__(self) -> int:
        return max(1, math.ceil(len(self.rows) / self.size))

    def __iter__(self) -> Iterator[Batch]:
        noise = evaluation_noise()
        for pixels, labels in self.images.batches(self.rows, self.size):
            yield self.batch(self.normalise(pixels), labels, noise)


def evaluation_noise() -> np.random.Generator:
    """Return the random numbers of `data.corrupt` in every validation and test."""
    return np.random.default_rng([0, CORRUPTION])


def balanced_weights(labels: np.ndarray) -> np.ndarray:
    """Return a weight for each class (K,), from the labels (N,) of training images: N / (K · images of the class).

    The mean over the images is 1; a class without images has weight 0.
    """
    counts = np.bincount(labels)
    present = counts > 0
    return np.where(present, len(labels) / (present.sum() * np.maximum(counts, 1)), 0.0)


def positive_weights(labels: np.ndarray) -> np.ndarray:
    """Return a weight of its positive images for each attribute (K,), from the labels (N, K) of training images.

    That is negatives / positives; 1 if it has none of either.
    """
    positives = labels.sum(axis=0, dtype=np.int64)
    negatives = len(labels) - positives
    return np.where((positives > 0) & (negatives > 0), negatives / np.maximum(positives, 1), 1.0)


def epoch_size(config: Config, num_images: int) -> tuple[int, int]:
    """Return the numbers of mini-batches and images per epoch, out of `num_images` for training."""
    batch_size = config.optim.batch_size
    batches = math.ceil(num_images / batch_size)
    if config.trainer.max_batches is not None:
        batches = min(batches, config.trainer.max_batches)
    return batches, min(num_images, batches * batch_size)
