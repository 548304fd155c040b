"""What a test keeps of each image, for predictions.npz, within `trainer.predictions_mb`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resnet_lab.config.enums import Labels
from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.data.datamodule import ImageData
from resnet_lab.rundir.predictions import PARTS, Predictions, write_predictions
from resnet_lab.tasks.base import Task
from resnet_lab.training.step import Totals

Arrays = dict[str, np.ndarray]  # by field of `Predictions`

TOP = 5  # classes of an image whose probabilities are kept if those of all classes take too much space
# Bytes, at most: of a file's headers, of what is stored of an image without its probabilities, in addition of each
# attribute, of a probability, of the name of a class; and what deflate adds to bytes that it cannot compress.
HEADERS, FIXED, ATTRIBUTE, PROBABILITY, CLASS, DEFLATED = 8192, 12, 2, 2, 4, 1.001


class DetailedTotals(Totals):
    """Sums of a test, its details, and what is kept of each image (see `num_kept`)."""

    def __init__(self, task: Task, device: torch.device, num_kept: int | None) -> None:
        super().__init__(task, device)
        self.num_kept = num_kept
        self.details = task.details()
        self.batches: list[dict[str, Tensor]] = []  # on the device, so that nothing waits for it

    def add(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> None:
        super().add(loss, outputs, targets)
        if self.details:
            self.details.add(outputs.detach(), targets)
        if self.num_kept is not None:
            self.batches.append(_kept(self.task.per_image(outputs.detach(), targets), self.num_kept))

    def per_image(self) -> Arrays:
        """Return what was kept, on the host, in the order of the images; wait for the device."""
        names = self.batches[0] if self.batches else ()
        return {name: torch.cat([batch[name] for batch in self.batches]).cpu().numpy() for name in names}


def _kept(found: dict[str, Tensor], num_kept: int) -> dict[str, Tensor]:
    """Return what `Task.per_image` found, with the probabilities of the `num_kept` most probable classes."""
    kept = {name: values for name, values in found.items() if name != "probabilities"}
    if "probabilities" in found and num_kept:
        probabilities = found["probabilities"]
        if num_kept < probabilities.shape[1]:
            probabilities, kept["classes"] = probabilities.topk(num_kept, dim=1)
        kept["probabilities"] = probabilities.half()
    return kept


def num_kept(config: Config, data: ImageData) -> int | None:
    """Return of how many classes a run keeps the probabilities, so that its file never exceeds the limit.

    All of them, or the five most probable ones, or 0; of attributes all or 0; None if it keeps nothing at all.
    """
    images, all_classes = len(data.test_rows) + len(data.validation_rows), config.model.num_classes
    has_attributes = TASKS.info(config.task).labels is Labels.attributes
    fixed = FIXED + (ATTRIBUTE * all_classes if has_attributes else 0)
    for number in (all_classes, 0) if has_attributes else (all_classes, TOP, 0):
        each = PROBABILITY if number == all_classes else PROBABILITY + CLASS
        size = HEADERS + DEFLATED * 2 * images * (fixed + number * each)  # of last and best weights
        if size <= config.trainer.predictions_mb * 10**6:
            return number
    return None


def what_is_left_out(config: Config, data: ImageData) -> str:
    """Describe what of the predictions does not fit into the limit; empty if all does, or if none are wanted."""
    limit, number = config.trainer.predictions_mb, num_kept(config, data)
    if not limit or number == config.model.num_classes:
        return ""
    left_out = {None: "is not written", 0: "has no probabilities"}
    what = left_out.get(number, f"has the probabilities of the {TOP} most probable classes only")
    return f"predictions.npz {what}: with more it could exceed trainer.predictions_mb={limit:g}"


def store(path: Path, data: ImageData, tested: Mapping[str, Sequence[Arrays]]) -> None:
    """Write what the tests of the `last` and `best` weights kept of PARTS; remove the file if that is nothing."""
    rows = (data.test_rows, data.validation_rows)
    found = {
        (part, when): Predictions(index=own, **arrays)
        for when, parts in tested.items()
        for part, own, arrays in zip(PARTS, rows, parts, strict=False)  # there may be no validation part
        if arrays
    }
    if found:
        write_predictions(path, found)
    else:
        path.unlink(missing_ok=True)  # from before the settings changed
