"""What is inside of plain and residual networks, before and after training: for studies/why_residual.py."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resnet_lab.config.schema import Config
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.split import drawn
from resnet_lab.inspect.context import prepared
from resnet_lab.inspect.flow import Flow, flow
from resnet_lab.inspect.inversion import error_by_frequency, invert
from resnet_lab.inspect.pixel_range import PixelRange
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.tasks.base import task_of
from resnet_lab.tasks.load import load_run
from studies.look import stored
from studies.words import rounded

FLOW_IMAGES, INVERTED_IMAGES = 128, 10
AFTER = ("stacks.0", "stacks.1", "stacks.2")  # where images are recovered from


def measured(folder: Path) -> dict[str, Any]:
    """One run: how it trained, and what is inside of it before and after; of one that diverged, only that."""
    torch.set_num_threads(1)
    config, result = stored(folder)
    facts = {
        "data": "digits" if config.data.name == "digits" else "CIFAR-10",
        "units": config.model.units[0],
        "shortcut": config.model.shortcut,
        "norm": config.model.norm.name,
        "lr": config.optim.lr,
        "seed": config.seed,
        "diverged": not result,
    }
    if not result:
        return facts
    config, net = load_run(folder)
    images, labels, pixel_range = validation_images(config, FLOW_IMAGES)
    before, after = (flow(n, task_of(config), images, labels) for n in (initial(config), net))
    frequencies, lost = recovered(net, images[:INVERTED_IMAGES], pixel_range)
    return facts | {
        "device": result["device"],
        "git_commit": result["git_commit"],
        "test_error": rounded([result["last"]["test_error"]])[0],
        "val_error": rounded([result["last"]["val_error"]])[0],
        "train_error": rounded([record["train/error"] for record in result["history"]]),
        "flow": {"start": numbers(before), "end": numbers(after)},
        "frequencies": rounded(frequencies),
        "lost": lost,
    }


def validation_images(config: Config, count: int) -> tuple[Tensor, Tensor, PixelRange]:
    """Some images that the network was not trained on, and their labels."""
    data = ImageData(config)
    rows = drawn(data.validation_rows, count)
    images = prepared(data.source.train.pixels[rows], data.normalise)
    return images, torch.from_numpy(data.source.train.labels[rows]), PixelRange.of(data.normalise)


def initial(config: Config) -> ResNetV2:
    """The network before its first step."""
    torch.manual_seed(config.seed)
    return ResNetV2(config.model)


def numbers(found: Flow) -> dict[str, list[float]]:
    """Of stem and units, from the image on."""
    units = [index for index, name in enumerate(found.names) if name == "stem" or ".units." in name]
    return {what: rounded(getattr(found, what)[units]) for what in ("gradient", "signal")}


def recovered(net: ResNetV2, images_BCHW: Tensor, pixel_range: PixelRange) -> tuple[np.ndarray, dict[str, list[float]]]:
    """Spatial frequencies, and for each layer of AFTER the error of the images found from its tensor at each."""
    pixels = pixel_range.pixels(images_BCHW).numpy()
    lost = {}
    for name in AFTER:
        found = torch.from_numpy(invert(net, name, images_BCHW, pixel_range))
        frequencies, error = error_by_frequency(pixel_range.pixels(found).numpy(), pixels)
        lost[name] = rounded(error)
    return frequencies, lost
