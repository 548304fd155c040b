"""What is looked at: a network, images that it was not trained on, and the user's choices among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resnet_lab.choices import Shortcut
from resnet_lab.config import Config, ConfigError
from resnet_lab.data.folder import decode_image
from resnet_lab.data.images import Normalisation
from resnet_lab.data.module import ImageData
from resnet_lab.inspect.bounds import Bounds
from resnet_lab.inspect.patterns import Track
from resnet_lab.inspect.twin import layer_names, tensor_at
from resnet_lab.model.resnet import ResNetV2

MOST_IMAGES = 5_000  # of the validation part that are looked at
NUM_CHOSEN = 8


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user asked for; empty means what each part finds telling."""

    images: Sequence[str] = ()  # numbers of validation images, or files
    layers: Sequence[str] = ()
    maps: Sequence[int] = ()
    class_name: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Subject:
    """A trained network with images (N, C, H, W), normalised, and labels (N,), all on its device."""

    config: Config
    net: ResNetV2
    images: Tensor
    labels: Tensor
    part: str  # of the data set that the images are from
    classes: tuple[str, ...]
    bounds: Bounds
    chosen: Tensor  # images that are looked at one by one (B, C, H, W)
    chosen_labels: Tensor  # (B,); of an image from a file what the network takes it for
    chosen_names: tuple[str, ...]
    excited_by: tuple[tuple[str, np.ndarray], ...]  # what maps are chosen by: names, numbers among images, then chosen
    choices: Choices
    beside: tuple[tuple[str, ResNetV2], ...] = ()  # other networks for the same images
    track: Track = iter

    @property
    def name(self) -> str:
        """For titles; of several runs the labels of `beside` tell more."""
        return f"{self.config.name}, seed {self.config.seed}"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.config.data.image_shape

    def pictures(self, images: Tensor | np.ndarray) -> np.ndarray:
        """Normalised images as grey or RGB (B, 1 or 3, H, W), 0…1."""
        on_device = torch.as_tensor(images, device=self.bounds.low.device)
        pictures: np.ndarray = self.bounds.pictures(on_device).cpu().numpy()
        return pictures

    def untrained(self, plain: bool = False) -> ResNetV2:
        """The network as it is initialised from the run's seed; or the plain one, without shortcuts of any kind."""
        model = self.config.model
        if plain:
            model = replace(model, shortcut=Shortcut.none, stack_shortcut=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            return ResNetV2(model).to(self.images.device)


def subject(
    config: Config, net: ResNetV2, choices: Choices, beside: Sequence[tuple[str, ResNetV2]], track: Track
) -> Subject:
    """Read the images and resolve the choices. Raises ConfigError when one of them is not there."""
    data = ImageData(config)
    device = next(net.parameters()).device
    rows = data.validation_rows if len(data.validation_rows) else np.arange(len(data.source.test))
    source = data.source.train if len(data.validation_rows) else data.source.test
    rows = rows[:MOST_IMAGES]
    images = _prepared(source.pixels[rows], data.normalise, device)
    labels = torch.from_numpy(source.labels[rows]).to(device)
    _check_maps(choices, net, images[:1])
    for label, other in beside:
        if other.config.in_channels != net.config.in_channels or other.config.num_classes != net.config.num_classes:
            raise ConfigError(f"--beside: {label} is a network for other images")
    classes = data.source.classes
    chosen, chosen_labels, names = _chosen(choices, images, labels, classes, data, net)
    return Subject(
        config=config,
        net=net,
        images=images,
        labels=labels,
        part="validation" if len(data.validation_rows) else "test",
        classes=classes,
        bounds=Bounds.of(data.normalise, device),
        chosen=chosen,
        chosen_labels=chosen_labels,
        chosen_names=names,
        excited_by=_exciting(choices, labels.cpu().numpy(), classes, names),
        choices=choices,
        beside=tuple(beside),
        track=track,
    )


def _check_maps(choices: Choices, net: ResNetV2, image: Tensor) -> None:
    """Raise ConfigError when a layer or a map is not there."""
    if unknown := [layer for layer in choices.layers if layer not in layer_names(net)]:
        raise ConfigError(f"--layers: there is no {unknown[0]}; there are {', '.join(layer_names(net))}")
    if choices.maps and not choices.layers:
        raise ConfigError("--maps: say with --layers of which layer")
    for layer in choices.layers:
        with torch.no_grad():
            count = tensor_at(net, image, layer).shape[1]
        if beyond := [number for number in choices.maps if not 0 <= number < count]:
            raise ConfigError(f"--maps: there is no map {beyond[0]} in {layer}; it has {count}, numbered from 0")


def _prepared(pixels_NCHW: np.ndarray, normalise: Normalisation, device: torch.device) -> Tensor:
    pixels = torch.tensor(pixels_NCHW, device=device)
    return normalise(pixels).contiguous(memory_format=torch.channels_last)


def _chosen(
    choices: Choices, images: Tensor, labels: Tensor, classes: Sequence[str], data: ImageData, net: ResNetV2
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """The images that were asked for, or the first of every class, as far as they go."""
    first = [int(n) for n in np.unique(labels.cpu().numpy(), return_index=True)[1]]
    parts: list[tuple[Tensor, int, str]] = []
    for text in choices.images or [str(number) for number in first[:NUM_CHOSEN]]:
        if text.isdecimal():
            if int(text) >= len(images):
                raise ConfigError(f"--images: there is no image {text}; there are {len(images)}, numbered from 0")
            label = int(labels[int(text)])
            parts.append((images[int(text)][None], label, f"#{text}: {classes[label]}"))
        elif Path(text).is_file():
            pixels = decode_image(Path(text), data.config.data.image_shape)
            image = _prepared(pixels[None], data.normalise, images.device)
            with torch.no_grad():
                label = int(net(image).argmax())
            parts.append((image, label, f"{Path(text).name}: {classes[label]}?"))
        else:
            raise ConfigError(f"--images: {text} is neither the number of an image nor a file")
    return (
        torch.cat([image for image, _, _ in parts]).contiguous(memory_format=torch.channels_last),
        torch.tensor([label for _, label, _ in parts], device=images.device),
        tuple(name for _, _, name in parts),
    )


def _exciting(
    choices: Choices, labels: np.ndarray, classes: Sequence[str], chosen_names: Sequence[str]
) -> tuple[tuple[str, np.ndarray], ...]:
    """Of the class, of the images that were asked for, or of every class."""
    if choices.class_name is not None:
        if choices.class_name not in classes:
            raise ConfigError(f"--class: there is no {choices.class_name}; there are {', '.join(classes)}")
        rows = np.flatnonzero(labels == classes.index(choices.class_name))
        if not len(rows):
            raise ConfigError(f"--class: none of the images is a {choices.class_name}")
        return ((choices.class_name, rows),)
    if choices.images:
        return tuple((name, np.array([len(labels) + i])) for i, name in enumerate(chosen_names))
    present = np.unique(labels)[:NUM_CHOSEN]
    return tuple((classes[label], np.flatnonzero(labels == label)) for label in present)
