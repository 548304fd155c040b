"""Tasks: what a network is trained for. This is the part that needs torch; `config.tasks.TaskInfo` has the rest.

To add a task, write a subclass of `Task`, and register it with its `TaskInfo`, here the subclass `CountingInfo`:

    @TASKS.register("counting", CountingInfo(help="the number of dots", score="mae", figures=("flow", "filters")))
    class CountingTask(Task): …
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.model.resnet import ResNetV2


class Details(Protocol):
    """Further scores of a test, such as the error of each class, gathered batch by batch."""

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Gather what the scores need, on the device of the batch."""

    def scores(self, classes: Sequence[str]) -> dict[str, Any]:
        """Return numbers by name, or dictionaries of them, for result.json; `classes` names the outputs."""


class Task:
    """A configured task. Images are (B, C, H, W), normalised; labels are (B, …), in the data set's format.

    CUDA graphs record `targets`, `loss` and `penalty`: none of them may wait for the device, branch on the values that
    it holds, or keep state. Nor may the network keep any, other than parameters and buffers.
    """

    def __init__(self, config: Config) -> None:
        self.config, self.info = config, TASKS.info(config.task)

    def network(self) -> ResNetV2:
        """Build the network, initialised, on torch's default device."""
        return ResNetV2(self.config.model)

    def targets(self, images_BCHW: Tensor, labels: Tensor) -> Tensor:
        """Return the desired outputs (B, …): the labels, unless a task derives others from them or from the images."""
        return labels

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
        """Return the mean loss of a mini-batch.

        In training, `smoothing` is `optim.label_smoothing`, and `weights` (K,) those of the classes if
        `optim.class_weights` asks for them; in evaluation there is neither.
        """
        raise NotImplementedError

    def penalty(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return, summed over a mini-batch, what the score averages: the number of mistakes, the total error, …"""
        raise NotImplementedError

    def score(self, penalty: float, count: float) -> float:
        return penalty / count

    def details(self) -> "Details | None":
        """Return a new collector of further scores of a test; None if the task has none."""
        return None

    def per_image(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return what a run stores of each image of a batch of the test, by field of `rundir.predictions.Predictions`.

        A task with classes returns `label` and `predicted` (B,), int64, and `probabilities` (B, K); one with attributes
        `label` and `predicted` (B, K), uint8. Others store the `penalty` (B,) of each image, or nothing if torch cannot
        map `penalty` over images.
        """
        try:
            return {"penalty": self.penalties(outputs, targets).float()}
        except RuntimeError:
            return {}

    def penalties(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the penalty of each image (B,). Raises RuntimeError if torch cannot map `penalty` over images."""
        return torch.vmap(lambda *one: self.penalty(*(each[None] for each in one)))(outputs, targets)

    def final(self, outputs: Tensor) -> Tensor:
        """Convert outputs to what is exported: probabilities, numbers, …"""
        return outputs

    def main_output(self, outputs: Any) -> Tensor:
        """Return the tensor among the outputs, if a network returns several."""
        return outputs

    def predictions(self, outputs: Tensor) -> Tensor:
        """Convert outputs to the form of labels."""
        return outputs

    def words(self, label: Tensor, classes: Sequence[str]) -> str:
        """Return the caption of an image for its label, or for a prediction."""
        if label.ndim == 0 and label.dtype == torch.int64 and 0 <= int(label) < len(classes):
            return classes[int(label)]
        return " ".join(f"{value:.3g}" for value in label.flatten().tolist())

    def by_class(self, labels: np.ndarray, classes: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the indices of the images of each class, or with each attribute, that occurs; {} without either."""
        if labels.ndim != 1 or labels.dtype != np.int64:
            return {}
        return {classes[label]: np.flatnonzero(labels == label) for label in np.unique(labels)}

    def baselines(self, train_NCHW: np.ndarray, test_NCHW: np.ndarray) -> dict[str, float]:
        """Return scores of simple methods on the test images, by name; the arrays are uint8 pixels."""
        return {}


def task_of(config: Config) -> Task:
    """Return the task that `config.task` names."""
    return TASKS.load(config.task)(config)
