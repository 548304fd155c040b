"""What a network is trained for, as far as it needs torch; the rest stands in `config.tasks.TaskInfo`.

A task of your own is a subclass of `Task`, registered with what it says about itself:

    @TASKS.register("counting", Counting(help="the number of dots", score="mae", figures=("flow", "filters")))
    class CountingTask(Task): …
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.model.resnet import ResNetV2


class Task:
    """One configured task. Images are (B, C, H, W), normalised; labels are what the data set has of each image.

    A CUDA graph records what `targets`, `loss` and `penalty` do: nothing in them waits for the device, nor depends on
    the values that it holds.
    """

    def __init__(self, config: Config) -> None:
        self.config, self.info = config, TASKS.info(config.task)

    def network(self) -> ResNetV2:
        """The network, initialised, on the CPU unless a device is in force."""
        return ResNetV2(self.config.model)

    def targets(self, images_BCHW: Tensor, labels: Tensor) -> Tensor:
        """What the outputs should be (B, …): the labels, where a task makes nothing else of them or of the images."""
        return labels

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """The mean loss of a mini-batch; `smoothing` is `optim.label_smoothing` in training, and 0 in evaluation."""
        raise NotImplementedError

    def penalty(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Summed over a mini-batch what the score is made of, as a number: how many are wrong, how far they are off."""
        raise NotImplementedError

    def score(self, penalty: float, count: float) -> float:
        return penalty / count

    def predictions(self, outputs: Tensor) -> Tensor:
        """What the outputs say, in the form of labels."""
        return outputs

    def words(self, label: Tensor, classes: Sequence[str]) -> str:
        """The label of an image, or a prediction, below its picture."""
        return " ".join(f"{value:.3g}" for value in label.flatten().tolist())

    def by_class(self, labels: np.ndarray, classes: Sequence[str]) -> dict[str, np.ndarray]:
        """The numbers of the images of every class that there is among them; nothing where labels are no classes."""
        return {}


def task_of(config: Config) -> Task:
    """What `config.task` names."""
    return TASKS.load(config.task)(config)
