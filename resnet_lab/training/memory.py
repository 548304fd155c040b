"""Refuse what cannot fit into memory, before torch fails or the system kills the process."""

import math
import re
from collections import Counter

import psutil
import torch
from rich.filesize import decimal

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Accelerator, Recompute
from resnet_lab.config.registry import DATASETS
from resnet_lab.config.schema import Config
from resnet_lab.model.complexity import Complexity
from resnet_lab.training.optimizer import STATES

# Of the name of a layer, what names the unit or stack that it is part of.
PART_OF = {
    Recompute.none: re.compile(r""),
    Recompute.unit: re.compile(r".*?stacks\.\d+\.units\.\d+|"),
    Recompute.stack: re.compile(r".*?stacks\.\d+|"),
}


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
    activations = most_at_once(cost, config.trainer.checkpoint_activations)
    maps = (2 if is_half else 4) * activations * batch_size
    needs = {
        "the parameters": (weights, device, "fewer filters or units"),
        "the feature maps of a mini-batch": (
            maps,
            device,
            "a smaller optim.batch_size or data.image_size, optim.accumulate or trainer.checkpoint_activations",
        ),
    }
    if DATASETS.info(config.data.name).made:
        images = math.prod(config.data.image_shape) * config.data.num_images
        needs["the images"] = (images, memory, "fewer data.num_images or a smaller data.image_size")
    for what, (needed, available, advice) in needs.items():
        if needed > available:
            sizes = f"at least {decimal(needed)}, but there is only {decimal(available)}"
            raise ConfigError(f"{what} need {sizes}: use {advice}")


def most_at_once(cost: Complexity, recomputes: Recompute) -> int:
    """Return a lower bound of the activations of an image that are kept at once: those of the largest part.

    Without activation checkpointing, the whole network is one part.
    """
    parts = Counter[str]()
    for layer in cost.layers:
        found = PART_OF[recomputes].match(layer.name)
        parts[found[0] if found else ""] += math.prod(layer.out_shape)
    return max(parts.values(), default=0)
