"""Weights of ResNets as torchvision and timm publish them, in files that name the layers as torchvision does."""

import os
from pathlib import Path

import torch
from torch import Tensor

from resnet_lab.config.checks import ConfigError, require, require_packages
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.model_enums import Activation, Resize, StrideOn
from resnet_lab.config.parts import LineageConfig, StemConfig
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.rundir.safe import EACH, Unreadable, check_form
from resnet_lab.tasks.load import fits, load_zip
from resnet_lab.tasks.shared import KEY

# Of ImageNet's training images, which normalised those that these networks were trained on.
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
NUM_STACKS = 4


def published_network(path: Path) -> ResNetV2 | None:
    """Return the network whose weights a file of torch.save or safetensors holds under torchvision's names.

    Return None if there is no such file, or resnet-lab export wrote it. Raises ConfigError if it cannot be read, or the
    lab cannot build its network.
    """
    stored = _read(path) if os.path.isfile(path) else None
    if stored is None:
        return None
    try:
        model = _model({name: tuple(tensor.shape) for name, tensor in stored.items()})
        with torch.device("meta"):
            expected = ResNetV2(model).state_dict()
        # Files of before torch 0.4.1 lack the counts, which change nothing as long as the momentum is constant.
        counts = {name: torch.tensor(0) for name in map(their_name, expected) if name.endswith("num_batches_tracked")}
        stored = counts | stored
        _refuse_others(stored, {their_name(name): tensor for name, tensor in expected.items()})
    except ConfigError as error:
        raise ConfigError(f"{path} holds no network of torchvision that the lab can build: {error}") from error
    net = ResNetV2(model)
    net.load_state_dict({name: stored[their_name(name)] for name in expected})
    return net.eval()


def their_name(ours: str) -> str:
    """Return what torchvision calls a parameter or a buffer of the lab's network."""
    match ours.split("."):
        case "stem", "conv", value:
            return f"conv1.{value}"
        case "stem", "activation", "norm", value:
            return f"bn1.{value}"
        case "stacks", s, "units", u, "layers", n, "conv", value:
            return f"layer{int(s) + 1}.{u}.conv{int(n) + 1}.{value}"
        case "stacks", s, "units", u, "layers", n, "after", "norm", value:
            return f"layer{int(s) + 1}.{u}.bn{int(n) + 1}.{value}"
        case "stacks", s, "units", u, "shortcut", "path", n, value:
            return f"layer{int(s) + 1}.{u}.downsample.{n}.{value}"
        case "head", "classifier", value:
            return f"fc.{value}"
    raise ValueError(f"torchvision has no {ours}")


def _model(shapes: dict[str, tuple[int, ...]]) -> ModelConfig:
    """Return the network with weights of these shapes. Its strides, which no shape shows, are those of torchvision.

    Raises ConfigError if there is none.
    """

    def shape(layer: str, dimensions: int = 4) -> tuple[int, ...]:
        found = shapes.get(f"{layer}.weight", ())
        require(len(found) == dimensions and 0 not in found, f"{layer}.weight is missing, or has another form")
        return found

    is_bottleneck = "layer1.0.conv3.weight" in shapes
    maps, in_channels, kernel, _ = shape("conv1")
    units = [f"layer{s + 1}.0" for s in range(NUM_STACKS)]
    filters = [shape(f"{unit}.conv{3 if is_bottleneck else 2}")[0] for unit in units]
    widths = [shape(f"{unit}.conv1")[0] if is_bottleneck else n for unit, n in zip(units, filters, strict=True)]
    convs = [name.partition(".")[0] for name in shapes if name.endswith(".conv1.weight")]
    return ModelConfig(
        in_channels=in_channels,
        num_classes=shape("fc", 2)[0],
        num_stacks=NUM_STACKS,
        units=[convs.count(f"layer{s + 1}") for s in range(NUM_STACKS)],
        filters=filters,
        reduction=[n // width for n, width in zip(filters, widths, strict=True)],
        unit="bottleneck" if is_bottleneck else "basic",
        activation=Activation.original,
        shortcut="projection",
        resize=Resize.projection,
        stem=StemConfig(kernel=kernel, stride=2, filters=maps, pool=True),
        lineage=LineageConfig(stride_on=StrideOn.spatial),
    )


def _refuse_others(stored: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Raise ConfigError, naming the first tensor that is missing, left over, or of another shape or type."""
    for name in sorted(expected.keys() | stored.keys()):
        require(name in stored, f"{name} is missing")
        require(name in expected, f"{name:.100} is left over")
        own, other = (f"{tensor.dtype} {tuple(tensor.shape)}" for tensor in (stored[name], expected[name]))
        require(fits(stored[name], expected[name]), f"{name} must be dense, {other}, got {own}")


def _read(path: Path) -> dict[str, Tensor] | None:
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    require(start[:1] != b"\x80", f"{path} is in the format of before torch 1.6: save it again (docs/training.md)")
    return _of_torch(path) if start == b"PK" else _of_safetensors(path)


def _of_torch(path: Path) -> dict[str, Tensor]:
    try:
        stored: dict[str, Tensor] = load_zip(path)
    except Exception as error:
        raise ConfigError(f"{path} is damaged, or holds other things than tensors") from error
    try:
        check_form(stored, {EACH: Tensor}, path.name)
    except Unreadable as error:
        raise ConfigError(f"{path} does not hold weights by their names: {error}") from error
    # The file may hold views that are larger than what they are views of.
    size = sum(tensor.numel() * tensor.element_size() for tensor in stored.values())
    require(size <= path.stat().st_size, f"{path} is smaller than its tensors")
    return {str(name): tensor for name, tensor in stored.items()}


def _of_safetensors(path: Path) -> dict[str, Tensor] | None:
    """Return None if the file is one of resnet-lab export."""
    require_packages("export", f"reading {path}", "safetensors")
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            if KEY in (file.metadata() or {}):
                return None
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise ConfigError(f"{path} is no safetensors file, and none of torch.save (since 1.6): {error}") from error
