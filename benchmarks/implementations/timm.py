"""timm's own pre-activation network in the loop of `strong`, if timm is installed and can be imported."""

from torch import nn

from benchmarks.implementations import Observer, Trained
from benchmarks.implementations.strong import train_network
from benchmarks.task import Task
from resnet_lab.config.checks import ConfigError


def train(task: Task, observer: Observer) -> Trained:
    return train_network(task, observer, network(task))


def network(task: Task) -> nn.Module:
    """Build a network of as many units of the same widths, with timm's details and weights, and a CIFAR stem.

    Raises ConfigError for units other than bottleneck: timm has no others.
    """
    from timm.layers import BatchNormAct2d, create_conv2d
    from timm.models.resnetv2 import ResNetV2

    model = task.config.model
    if model.unit != "bottleneck":
        raise ConfigError("timm supports only bottleneck units: set unit=bottleneck")
    net: nn.Module = ResNetV2(
        layers=model.stack_units,
        channels=model.stack_filters,
        bottle_ratio=1 / model.stack_reductions[0],
        num_classes=model.num_classes,
        in_chans=model.in_channels,
        stem_chs=model.stem.filters,
        conv_layer=create_conv2d,
        norm_layer=BatchNormAct2d,
    )
    net.stem = nn.Conv2d(model.in_channels, model.stem.filters, kernel_size=3, padding=1, bias=False)
    return net


def missing() -> str:
    """Return why timm cannot be used here; empty if it can."""
    try:
        import timm.models.resnetv2
    except (ImportError, RuntimeError) as error:  # also from a torchvision that does not match torch
        return f"timm cannot be used here ({error})"
    return "" if timm.models.resnetv2 else "timm is empty"
