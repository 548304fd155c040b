"""Refuse what cannot fit into memory, before torch fails or the system kills the process."""

import math

import psutil
import torch
from rich.filesize import decimal

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Accelerator
from resnet_lab.config.registry import DATASETS
from resnet_lab.config.schema import Config
from resnet_lab.model.complexity import Complexity
from resnet_lab.training.optimizer import STATES


def refuse_too_large(config: Config, cost: Complexity, batch_size: int = 1) -> None:
    """Raise ConfigError, with an estimate, if the network or generated images need more memory than the device has.

    The estimate is a lower bound: only what is certain to fail is refused. `batch_size` counts images.
    """
    memory = psutil.virtual_memory().total
    on_gpu = config.trainer.accelerator is not Accelerator.cpu and torch.cuda.is_available()
    device = torch.cuda.get_device_properties(0).total_memory if on_gpu else memory
    is_half = config.trainer.precision == "bf16-mixed" or (on_gpu and config.trainer.precision == "auto")
    states = len(STATES[config.optim.name] - {"step"})
    averages = config.optim.ema > 0
    weights = 4 * cost.params * (2 + states + averages)  # weights, gradients, states and averages
    maps = (2 if is_half else 4) * cost.activations * batch_size
    needs = {
        "the parameters": (weights, device, "fewer filters or units"),
        "the feature maps of a mini-batch": (
            maps,
            device,
            "a smaller optim.batch_size or data.image_size, or optim.accumulate",
        ),
    }
    if DATASETS.info(config.data.name).made:
        images = math.prod(config.data.image_shape) * config.data.num_images
        needs["the images"] = (images, memory, "fewer data.num_images or a smaller data.image_size")
    for what, (needed, available, advice) in needs.items():
        if needed > available:
            sizes = f"at least {decimal(needed)}, but there is only {decimal(available)}"
            raise ConfigError(f"{what} need {sizes}: use {advice}")
