"""A trained network, with everything needed to apply it to other images."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from resnet_lab.config.checks import require
from resnet_lab.config.enums import Fit, Labels
from resnet_lab.config.model_enums import LatentLayer
from resnet_lab.config.schema import Config
from resnet_lab.data.decode import read_image
from resnet_lab.data.fit import Decoding
from resnet_lab.data.images import Normalisation, as_shares
from resnet_lab.data.loader import memory_format
from resnet_lab.model.autoencoder import Autoencoder
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

    def at(self, size: int, resize_to: int | None = None) -> Self:
        """Return the network for images of another size, cut out after the shorter side was resized.

        Without `resize_to`, the shorter side grows with the size. Raises ConfigError if the network takes only one.
        """
        data, config = self.config.data, self.config
        self.refuse_series("--size")
        fixed = f"--size: the network of task={config.task} takes images of the size that it was trained on"
        require(not self.task.info.decodes, fixed)
        if resize_to is None and data.shorter_side:
            resize_to = round(data.shorter_side * size / max(data.image_shape[1:]))
        fit = data.fit if resize_to is None else Fit.crop
        data = replace(data, image_size=size, resize_to=resize_to, fit=fit)
        return replace(self, config=replace(config, data=data, model=replace(config.model, image_size=size)))

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

    def refuse_series(self, what: str) -> None:
        """Raise ConfigError, saying that `what` is for images, if the network is one of series."""
        require(self.config.data.dims == 2, f"{what} is for images, but {self.config.name} was trained on series")

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

    def inputs(self, pixels_BCHW: npt.NDArray[np.uint8] | Tensor) -> Tensor:
        """Return what the network is given for uint8 pixels: normalised images, on its device and in its precision."""
        pixels = torch.as_tensor(pixels_BCHW, device=self.device)
        images_BCHW = self.normalise(pixels).to(next(self.net.parameters()).dtype)
        return images_BCHW.contiguous(memory_format=memory_format(self.config))

    def shares(self, pixels_BCHW: npt.NDArray[Any]) -> Tensor:
        """Return what reconstructions are compared with: pixels in 0…1, or normalised series, on the CPU."""
        pixels = torch.from_numpy(pixels_BCHW)
        return as_shares(pixels) if self.config.data.dims == 2 else self.normalise(pixels)

    @torch.inference_mode()
    def apply(self, images_BCHW: Tensor) -> Any:
        """Return all outputs for normalised images, on the CPU, in the network's precision, but at least float32."""
        outputs = self.net(images_BCHW)
        return type(outputs)(*map(_on_host, outputs)) if isinstance(outputs, tuple) else _on_host(outputs)

    def outputs(self, pixels_BCHW: npt.NDArray[np.uint8] | Tensor) -> Tensor:
        """Return the network's outputs (B, …) for uint8 pixels, as `apply` does."""
        return self.task.main_output(self.apply(self.inputs(pixels_BCHW)))

    @torch.inference_mode()
    def encode(self, pixels_BCHW: npt.NDArray[np.uint8] | Tensor) -> Tensor:
        """Return latent vectors (B, latent_dim), or maps (B, latent_dim, h, w), for uint8 pixels, on the CPU.

        Raises ConfigError, as `decode` does, if the network has no decoder.
        """
        return _on_host(self._autoencoder().encode(self.inputs(pixels_BCHW)))

    @torch.inference_mode()
    def decode(self, latent: npt.NDArray[np.floating[Any]] | Tensor) -> Tensor:
        """Return the images that latent vectors or maps stand for: pixels in 0…1 (B, C, H, W), on the CPU.

        Raises ConfigError, too, if `latent` does not have the shape of what `encode` returns, or is not finite.
        """
        net, dtype = self._autoencoder(), next(self.net.parameters()).dtype
        shape = self.latent_shape
        vectors = torch.as_tensor(latent, dtype=dtype, device=self.device)
        wanted = f"latent must have the shape (N, {', '.join(map(str, shape))}), got {tuple(vectors.shape)}"
        require(vectors.shape[1:] == shape and len(vectors.shape) == 1 + len(shape), wanted)
        require(bool(vectors.isfinite().all()), "latent must be finite numbers")
        return self.task.final(_on_host(net.decode(vectors)))

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of what an autoencoder's encoder returns of one image: a vector, or maps."""
        model = self.config.model
        return (model.latent_dim, *(model.map_sizes[-1] if model.head.layer is LatentLayer.map else ()))

    def _autoencoder(self) -> Autoencoder:
        require(isinstance(self.net, Autoencoder), f"task={self.config.task} has no latent space to encode to")
        assert isinstance(self.net, Autoencoder)
        return self.net

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
        if self.task.info.decodes:
            return "reconstructions"
        return "probabilities" if self.classes else "numbers" if self.labels is Labels.number else "outputs"

    def final(self, pixels_BCHW: npt.NDArray[np.uint8] | Tensor) -> Tensor:
        """Return what the task makes of the outputs (`Task.final`) for uint8 pixels, on the CPU."""
        outputs = self.outputs(pixels_BCHW)
        return self.task.final(outputs / self.temperature if self.classifies else outputs)


def _on_host(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32)).cpu()
