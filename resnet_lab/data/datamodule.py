"""The LightningDataModule: a data set, split into training, validation and test part, as loaders on a device."""

import numpy as np
from pytorch_lightning import LightningDataModule

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.data import DataConfig
from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.data.images import Normalisation, ResidentImages
from resnet_lab.data.loader import EvalLoader, TrainLoader, epoch_size
from resnet_lab.data.sources import read
from resnet_lab.data.split import holdout


class ImageData(LightningDataModule):
    """Read and split the images on construction; move them to the trainer's device in `setup`.

    Raises ConfigError when files are missing or damaged, or the data does not fit the settings or the task.
    """

    def __init__(self, config: Config, steps_per_call: int = 1) -> None:
        super().__init__()
        self.config, self.steps_per_call = config, steps_per_call
        try:
            self.source = read(config.data)
        except MemoryError as error:
            raise ConfigError(f"the images do not fit into memory: use a smaller data.image_size ({error})") from error
        for part in (self.source.train, self.source.test):
            TASKS.info(config.task).check_labels(part.labels, config.data)
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
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        part = self.source.test if stage == "test" else self.source.train
        self.images = ResidentImages(part.pixels, part.labels, device)

    def teardown(self, stage: str) -> None:
        del self.images

    def train_dataloader(self) -> TrainLoader:
        return TrainLoader(self.images, self.train_rows, self.normalise, self.config, self.steps_per_call)

    def val_dataloader(self) -> EvalLoader:
        return self._in_order(self.validation_rows)

    def test_dataloader(self) -> EvalLoader:
        return self._in_order(np.arange(len(self.source.test)))

    def _in_order(self, rows: np.ndarray) -> EvalLoader:
        return EvalLoader(self.images, rows, self.normalise, self.config)
