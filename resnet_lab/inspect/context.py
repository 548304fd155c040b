"""The inspected network, images that it was not trained on, and the user's choices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resnet_lab.config.branch import AttentionConfig, StochasticDepthConfig
from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.model_enums import AttentionPlace, Bridges
from resnet_lab.config.schema import Config
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.decode import read_image
from resnet_lab.data.fit import Decoding
from resnet_lab.data.images import Normalisation
from resnet_lab.data.split import drawn
from resnet_lab.inspect.autoencoding import encoded
from resnet_lab.inspect.patterns import Track
from resnet_lab.inspect.pixel_range import PixelRange
from resnet_lab.inspect.replica import intermediate, layer_names
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.tasks.base import Task, task_of
from resnet_lab.text import printable

MOST_IMAGES = 5_000  # of the validation or test set
NUM_CHOSEN = 8
LONGEST_NUMBER = 18  # digits of an image's number


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user asked for. If a field is empty, each part of the page makes its own choice."""

    images: Sequence[str] = ()  # indices of validation images, or files
    layers: Sequence[str] = ()
    maps: Sequence[int] = ()
    class_name: str | None = None
    pairs: Sequence[tuple[int, int]] = ()  # of latent components
    seed: int = 0


@dataclass(frozen=True, slots=True)
class InspectContext:
    """A trained network with normalised images (N, C, H, W) and labels (N, …), all on the same device."""

    config: Config
    task: Task
    net: ResNetV2
    images: Tensor
    labels: Tensor
    files: tuple[str, ...]  # (N,) of the images, below the run's folder; empty if they are not files
    part: str  # of the data set: validation or test
    classes: tuple[str, ...]  # or attributes; empty if outputs have no names
    pixel_range: PixelRange
    chosen: Tensor  # images inspected one by one (B, C, H, W)
    chosen_labels: Tensor  # (B, …); for image files, the network's predictions, or 0 if it predicts no labels
    chosen_names: tuple[str, ...]
    # Groups of images: name, and indices into [*images, *chosen]. The maps most specific to each group are shown.
    map_selectors: tuple[tuple[str, np.ndarray], ...]
    choices: Choices
    compared: tuple[tuple[str, ResNetV2], ...] = ()  # label and network of other runs, for the same images
    track: Track = iter

    @property
    def name(self) -> str:
        """Name and seed of the run, for titles; other runs have the labels in `compared`."""
        return f"{self.config.name}, seed {self.config.seed}"

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(C, H, W)."""
        return self.config.data.image_shape

    def pictures(self, images: Tensor | np.ndarray) -> np.ndarray:
        """Convert normalised images to grey or RGB in 0…1, for matplotlib: (B, H, W, 1 or 3). Series stay (B, C, L)."""
        if self.config.data.dims == 1:
            return torch.as_tensor(images).cpu().numpy()
        on_device = torch.as_tensor(images, device=self.pixel_range.low.device)
        return self.pixel_range.pictures(on_device).permute(0, 2, 3, 1).cpu().numpy()

    def untrained(self, plain: bool = False) -> ResNetV2:
        """Initialise the network from the run's seed; with `plain`, without any shortcuts, if that is possible."""
        model = (without_shortcuts(self.config.model) if plain else None) or self.config.model
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            return task_of(replace(self.config, model=model)).network().to(self.images.device)


def without_shortcuts(model: ModelConfig) -> ModelConfig | None:
    """Return the same network without shortcuts, and without what needs them; None if it has none, or concatenates."""
    if not (model.crosses or model.bridges is Bridges.stack or model.bridges.sums):
        return None
    attends_shortcut = model.attention.place is AttentionPlace.identity
    return replace(
        model,
        shortcut="none",
        bridges=Bridges.unit,
        stochastic_depth=StochasticDepthConfig(),
        learned_scale=None,
        attention=AttentionConfig() if attends_shortcut else model.attention,
    )


def context(
    config: Config, net: ResNetV2, choices: Choices, compared: Sequence[tuple[str, ResNetV2]], track: Track
) -> InspectContext:
    """Read the images and resolve the choices. Raises ConfigError for a choice that does not exist."""
    data = ImageData(config)
    device = next(net.parameters()).device
    if len(data.validation_rows):
        part, source, rows = "validation", data.source.train, data.validation_rows
    else:
        part, source, rows = "test", data.source.test, data.test_rows
    rows = drawn(rows, MOST_IMAGES)
    images = prepared(source.pixels[rows], data.normalise, device)
    pixel_range = PixelRange.of(data.normalise, device) if config.data.dims == 2 else PixelRange.over(images)
    labels = torch.from_numpy(source.labels[rows]).to(device)
    _check_maps(choices, net, images[:1])
    for label, other in compared:
        if other.config.in_channels != net.config.in_channels or other.config.num_classes != net.config.num_classes:
            raise ConfigError(f"--compare: {label} has a different number of channels or classes")
        if other.config.decodes and other.config.map_sizes[0] != net.config.map_sizes[0]:
            raise ConfigError(f"--compare: {label} returns images of a different size")
    task, classes = task_of(config), data.source.classes
    _check_pairs(choices, task, net, images[:1])
    by_class = task.by_class(labels.cpu().numpy(), classes)
    examples = [*dict.fromkeys(rows[0] for rows in by_class.values())] or range(len(images))
    texts = choices.images or [str(number) for number in examples[:NUM_CHOSEN]]
    chosen, chosen_labels, names = _chosen(texts, images, labels, task, data, net)
    return InspectContext(
        config=config,
        task=task,
        net=net,
        images=images,
        labels=labels,
        files=tuple(data.source.files[row] for row in rows) if data.source.files else (),
        part=part,
        classes=classes,
        pixel_range=pixel_range,
        chosen=chosen,
        chosen_labels=chosen_labels,
        chosen_names=names,
        map_selectors=_map_selectors(choices, by_class, classes, len(images), names),
        choices=choices,
        compared=tuple(compared),
        track=track,
    )


def _check_maps(choices: Choices, net: ResNetV2, image: Tensor) -> None:
    """Raise ConfigError for a layer or map that does not exist."""
    if unknown := [layer for layer in choices.layers if layer not in layer_names(net)]:
        raise ConfigError(f"--layers: unknown layer {unknown[0]}; choose from {', '.join(layer_names(net))}")
    if choices.maps and not choices.layers:
        raise ConfigError("--maps: name the layer with --layers")
    for layer in choices.layers:
        with torch.no_grad():
            count = intermediate(net, image, layer).shape[1]
        if beyond := [number for number in choices.maps if not 0 <= number < count]:
            raise ConfigError(f"--maps: there is no map {beyond[0]} in {layer}; it has {count}, numbered from 0")


def _check_pairs(choices: Choices, task: Task, net: ResNetV2, image: Tensor) -> None:
    """Raise ConfigError for a latent component that does not exist."""
    if not choices.pairs:
        return
    require(task.info.decodes, f"--pairs: a network of task={task.config.task} has no latent components")
    count = encoded(net, image).size
    if beyond := [number for pair in choices.pairs for number in pair if number >= count]:
        raise ConfigError(f"--pairs: there is no component {beyond[0]}; there are {count}, numbered from 0")


def prepared(pixels_NCHW: np.ndarray, normalise: Normalisation, device: torch.device | str = "cpu") -> Tensor:
    """Return pixels as normalised images (N, C, H, W), or series (N, C, L), in the layout that networks compute in."""
    pixels = torch.tensor(pixels_NCHW, device=device)
    return _laid_out(normalise(pixels))


def _laid_out(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images.contiguous()


def _chosen(
    texts: Sequence[str], images: Tensor, labels: Tensor, task: Task, data: ImageData, net: ResNetV2
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Return images given by number or file, with their labels and names."""
    classes = data.source.classes
    parts: list[tuple[Tensor, Tensor, str]] = []
    for text in texts:
        if text.isdecimal():
            if len(text) > LONGEST_NUMBER or int(text) >= len(images):
                raise ConfigError(f"--images: there is no image {text:.40}; there are {len(images)}, numbered from 0")
            label = labels[int(text)]
            parts.append((images[int(text)][None], label, f"#{text}: {task.words(label, classes)}"))
        elif data.config.data.dims == 1:
            raise ConfigError(f"--images: {text} is not the number of a series; series are named by number")
        elif Path(text).is_file():
            pixels = read_image(Path(text), Decoding.of(data.config.data))
            image = prepared(pixels[None], data.normalise, images.device)
            label, name = torch.zeros_like(labels[0]), printable(Path(text).name)
            if not task.info.decodes:
                with torch.no_grad():
                    label = task.predictions(net(image))[0]
                name = f"{name}: {task.words(label, classes)}?"
            parts.append((image, label, name))
        else:
            raise ConfigError(f"--images: {text} is neither the number of an image nor a file")
    chosen, chosen_labels, names = zip(*parts, strict=True)
    return _laid_out(torch.cat(chosen)), torch.stack(chosen_labels), names


def _map_selectors(
    choices: Choices, by_class: Mapping[str, np.ndarray], classes: Sequence[str], count: int, names: Sequence[str]
) -> tuple[tuple[str, np.ndarray], ...]:
    """Return the image groups that select maps: one for --class, or one per image of --images, or one per class."""
    if (name := choices.class_name) is not None:
        if name not in classes:
            raise ConfigError(f"--class: unknown class {name}; known classes: {', '.join(classes) or 'none'}")
        if name not in by_class:
            raise ConfigError(f"--class: none of the images has class {name}")
        return ((name, by_class[name]),)
    if choices.images or not by_class:
        return tuple((name, np.array([count + i])) for i, name in enumerate(names))
    return tuple(by_class.items())[:NUM_CHOSEN]
