"""Networks, images and runs to look into."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resnet_lab import load_run
from resnet_lab.data.datamodule import ImageData
from resnet_lab.inspect.pixel_range import PixelRange
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.tasks.base import task_of
from support.composing import config as load_config

SMALL = ("stacks=two", "units=n2", "filters=w16", "data=fake", "data.image_size=16", "data.num_classes=5")
TASK = task_of(load_config(*SMALL))
PLAIN_BOUNDS = PixelRange(torch.tensor([[[-2.0]]]), torch.tensor([[[2.0]]]))


def build(*overrides: str) -> ResNetV2:
    """An untrained network whose BatchNorm statistics are not those that it began with; always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = ResNetV2(load_config(*SMALL, *overrides).model)
        with torch.no_grad():
            net(torch.randn(16, net.config.in_channels, 16, 16))
    return net.eval()


def some_images(net: ResNetV2, count: int = 6, size: int = 16) -> tuple[Tensor, Tensor]:
    """Random images and labels, always the same."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, net.config.in_channels, size, size, generator=generator)
    return images, torch.arange(count) % net.config.num_classes


def state(net: ResNetV2) -> Any:
    """Everything about a network that looking at it must not change, as something to compare."""
    tensors = {name: tensor.tolist() for name, tensor in net.state_dict().items()}
    gradients = [(p.grad, p.requires_grad) for p in net.parameters()]
    modules = [
        (module.training, len(module._forward_hooks), len(module._forward_pre_hooks), len(module._backward_hooks))
        for module in net.modules()
    ]
    return tensors, gradients, modules


class Run:
    """A finished run: its network and its validation images."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config, self.net = load_run(path)
        data = ImageData(self.config)
        rows = data.validation_rows
        self.images = data.normalise(torch.from_numpy(data.source.train.pixels[rows]))
        self.labels = torch.from_numpy(data.source.train.labels[rows])
        self.pixel_range = PixelRange.of(data.normalise)
