"""The LightningDataModule: a source, split into training, validation and test part, as loaders on a device."""

from __future__ import annotations

import numpy as np
from pytorch_lightning import LightningDataModule

from resnet_lab.config import Config, ConfigError, DataConfig
from resnet_lab.data.images import Normalisation, ResidentImages
from resnet_lab.data.loader import EvalLoader, TrainLoader, epoch_size
from resnet_lab.data.sources import read
from resnet_lab.data.split import holdout


class ImageData(LightningDataModule):
    """Reads and splits the images on construction; puts them on the trainer's device when it asks for them.

    Raises ConfigError when files are missing or damaged, or the settings do not fit the data.
    """

    def __init__(self, config: Config, steps_per_call: int = 1) -> None:
        super().__init__()
        self.config, self.steps_per_call = config, steps_per_call
        try:
            self.source = read(config.data)
        except MemoryError as error:
            raise ConfigError(f"the images do not fit into memory: use a smaller data.image_size ({error})") from error
        labels = self.source.train.labels
        share = config.data.validation
        held_out = round(share * len(labels)) if share < 1 else int(share)
        self.train_rows, self.validation_rows = holdout(labels, held_out, config.data.split_seed)
        self.normalise = self._normalisation(config.data)
        self.num_batches, self.num_images = epoch_size(config, len(self.train_rows))

    def _normalisation(self, data: DataConfig) -> Normalisation:
        if data.mean is not None and data.std is not None:
            return Normalisation(tuple(data.mean), tuple(data.std))
        measured = Normalisation.measure(self.source.train.pixels, self.train_rows)
        return Normalisation(tuple(data.mean or measured.mean), tuple(data.std or measured.std))

    def setup(self, stage: str) -> None:
        """Put what the stage needs on the device."""
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        part = self.source.test if stage == "test" else self.source.train
        self.images = ResidentImages(part.pixels, part.labels, device)

    def teardown(self, stage: str) -> None:
        """Free the device's memory."""
        del self.images

    def train_dataloader(self) -> TrainLoader:
        """The training part, shuffled and augmented."""
        return TrainLoader(self.images, self.train_rows, self.normalise, self.config, self.steps_per_call)

    def val_dataloader(self) -> EvalLoader:
        """The part that was held out."""
        return self._in_order(self.validation_rows)

    def test_dataloader(self) -> EvalLoader:
        """The test set."""
        return self._in_order(np.arange(len(self.source.test)))

    def _in_order(self, rows: np.ndarray) -> EvalLoader:
        return EvalLoader(self.images, rows, self.normalise, self.config)
