"""A task and a data set as a user's own module would add them: where the bright square is, in pixels from the left."""

from typing import Any

import numpy as np
from support.lab import Lab
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig
from resnet_lab.config.registry import DatasetInfo
from resnet_lab.config.tasks import TaskInfo
from resnet_lab.data.sources import Images, Source
from resnet_lab.tasks.base import Task

SQUARES = DatasetInfo(help="a bright square of 2x2 pixels", channels=1, image_size=8)


def squares(config: DataConfig) -> Source:
    """80 images to train on and 20 to test; labels are float32, and no classes."""

    def images(count: int, rng: np.random.Generator) -> Images:
        pixels = rng.integers(0, 60, (count, *config.image_shape), dtype=np.uint8)
        lefts = rng.integers(0, 7, count)
        for image, left in zip(pixels, lefts, strict=True):
            image[0, 3:5, left : left + 2] = 255
        return Images(pixels, lefts.astype(np.float32))

    rng = np.random.default_rng(0)
    return Source(images(80, rng), images(20, rng), ())


class PositionInfo(TaskInfo):
    """One number for each image."""

    def num_outputs(self, data: DataConfig) -> int:
        return 1

    def check_labels(self, labels: Any, data: DataConfig) -> None:
        if labels.ndim != 1:
            raise ConfigError(f"data={data.name}: labels must be numbers (N,), got {labels.shape}")


POSITION = PositionInfo(
    help="a position in pixels", score="mae", unit="px", figures=("flow", "filters", "maps", "patterns", "inversion")
)


class Position(Task):
    """Outputs (B, 1) are compared with labels (B,)."""

    def targets(self, images_BCHW: Tensor, labels: Tensor) -> Tensor:
        return labels.to(images_BCHW.dtype)

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        return F.smooth_l1_loss(outputs[:, 0], targets)

    def penalty(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs[:, 0] - targets).abs().sum()

    def predictions(self, outputs: Tensor) -> Tensor:
        return outputs[:, 0]


class OwnLab(Lab):
    """Runs of the task by a network of 14 layers: 4 mini-batches an epoch, and 16 images held out."""

    def overrides(self, *changes: str) -> list[str]:
        small = ("stacks=two", "units=n2", "filters=w16", "data.validation=16", "optim.batch_size=16")
        short = ("trainer=cpu", "trainer.max_epochs=2", "optim.lr=0.01", "deterministic=true")
        where = f"output_dir={self.output_dir}"
        return ["task=position", "data=squares", *small, *short, where, *changes]
