"""A trained network, with everything needed to apply it to other images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from resnet_lab.config.checks import require
from resnet_lab.config.enums import Labels
from resnet_lab.config.schema import Config
from resnet_lab.data.decode import Decoding, read_image
from resnet_lab.data.images import Normalisation
from resnet_lab.data.loader import memory_format
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.tasks.base import Task, task_of
from resnet_lab.tasks.load import load_with_classes, weights_digest
from resnet_lab.text import printable


@dataclass(frozen=True, slots=True)
class Trained:
    """A network in eval mode, and how image files become its inputs: decoded and normalised as in training."""

    config: Config
    net: ResNetV2
    classes: tuple[str, ...]  # or attributes; empty if outputs have no names
    temperature: float = 1.0  # logits are divided by it, to calibrate the probabilities

    @classmethod
    def load(cls, run_dir: Path, checkpoint: str = "last") -> Self:
        """Load a run or a shared network, onto a GPU if there is one. Raises ConfigError when it cannot be read."""
        config, net, classes = load_with_classes(run_dir, checkpoint)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        net = net.to(device, memory_format=memory_format(config))  # type: ignore[call-overload]
        return cls(config, net, classes)

    @property
    def labels(self) -> Labels | None:
        """What the network predicts of each image, if its task has labels."""
        return self.task.info.labels

    @property
    def classifies(self) -> bool:
        return self.labels is Labels.classes

    def refuse_without_classes(self, what: str, run_dir: Path) -> None:
        """Raise ConfigError, saying that `what` needs classes, if labels are not classes."""
        where = f"{printable(str(run_dir))} was trained for task={self.config.task}, whose labels are not classes"
        require(self.classifies, f"{what}: {where}")

    @property
    def task(self) -> Task:
        return task_of(self.config)

    @property
    def device(self) -> torch.device:
        return next(self.net.parameters()).device

    @property
    def decoding(self) -> Decoding:
        """How files become pixels; `range` is that of the training images, whether it was set or measured."""
        return Decoding.of(self.config.data)

    @property
    def normalise(self) -> Normalisation:
        mean, std = self.config.data.mean, self.config.data.std
        assert mean  # `load_run` sets both
        assert std
        return Normalisation(tuple(mean), tuple(std))

    def read(self, file: Path) -> npt.NDArray[np.uint8]:
        """Decode an image file to (C, H, W). Raises ConfigError when that fails."""
        return read_image(file, self.decoding)

    @torch.inference_mode()
    def outputs(self, pixels_BCHW: npt.NDArray[np.uint8] | Tensor) -> Tensor:
        """Return the network's outputs (B, …) for uint8 pixels on the CPU, in its precision, but at least float32."""
        pixels = torch.as_tensor(pixels_BCHW, device=self.device)
        images_BCHW = self.normalise(pixels).to(next(self.net.parameters()).dtype)
        outputs = self.task.main_output(self.net(images_BCHW.contiguous(memory_format=memory_format(self.config))))
        return outputs.to(torch.promote_types(outputs.dtype, torch.float32)).cpu()

    def outputs_of(self, pixels_NCHW: npt.NDArray[np.uint8]) -> Tensor:
        """Return the outputs (N, …) for any number of images, in batches of `trainer.eval_batch_size`."""
        size = self.config.trainer.eval_batch_size
        starts = range(0, len(pixels_NCHW), size)
        return torch.cat([self.outputs(np.array(pixels_NCHW[start : start + size])) for start in starts])

    def probabilities(self, pixels_BCHW: npt.NDArray[np.uint8] | Tensor) -> Tensor:
        """Return the probability of each class (B, K) for uint8 pixels, on the CPU."""
        return (self.outputs(pixels_BCHW) / self.temperature).softmax(dim=1)

    def digest(self) -> str:
        """Return a digest of the weights. A file that was made for these weights stores it."""
        return weights_digest(self.net)

    @property
    def final_name(self) -> str:
        """What `final` returns, in a word."""
        return "probabilities" if self.classes else "numbers" if self.labels is Labels.number else "outputs"

    def final(self, pixels_BCHW: npt.NDArray[np.uint8] | Tensor) -> Tensor:
        """Return what the task makes of the outputs (`Task.final`) for uint8 pixels, on the CPU."""
        outputs = self.outputs(pixels_BCHW)
        return self.task.final(outputs / self.temperature if self.classifies else outputs)
