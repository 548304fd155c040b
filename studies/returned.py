"""What autoencoders return of images, scale by scale, and how their latent vectors lie: for studies/autoencoders.py."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from resnet_lab.config.schema import Config
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.split import drawn
from resnet_lab.inspect.autoencoding import encoded, originals, reconstructed
from resnet_lab.inspect.context import prepared
from resnet_lab.inspect.latent import Moments, mardia
from resnet_lab.inspect.spectrum import spectra
from resnet_lab.tasks.base import task_of
from resnet_lab.tasks.load import load_run
from studies.look import stored
from studies.words import rounded

IMAGES = 2000


def measured(folder: Path) -> dict[str, Any]:
    """One run: its test error, spectra of what it returns, moments of latent vectors; if it diverged, only that."""
    torch.set_num_threads(1)
    config, result = stored(folder)
    model = config.model
    facts = {
        "data": "Fashion-MNIST" if config.data.name == "fashion_mnist" else "CIFAR-10",
        "latent": model.head.latent_dim,
        "unit": model.unit,
        "activation": model.activation.name,
        "shortcut": model.shortcut,
        "bridges": model.bridges.name,
        "norm": model.norm.name,
        "seed": config.seed,
        "diverged": not result,
    }
    if not result:
        return facts
    costs = {name: result[name] for name in ("params", "device", "git_commit")}
    [mse] = rounded([result["last"]["test_mse"]])
    return facts | costs | {"mse": mse, **looked_at(folder)}


def looked_at(folder: Path) -> dict[str, Any]:
    """What its network makes of some test images."""
    config, net = load_run(folder)
    task, images = task_of(config), test_images(config)
    found = spectra(originals(task, images), reconstructed(net, task, images))
    latent_ND = encoded(net, images)
    moments = Moments.of(latent_ND)
    return {
        "frequency": rounded(found.frequency),
        "original": rounded(found.original),
        "error": rounded(found.error),
        "ratio_db": rounded(found.ratio_db),
        "half_power": found.half_power,
        "skewness": rounded([np.abs(moments.skewness).mean()])[0],
        "kurtosis": rounded([moments.kurtosis.mean()])[0],
        "joint_kurtosis": rounded([mardia(latent_ND).relative_kurtosis])[0],
    }


def test_images(config: Config) -> torch.Tensor:
    """Some test images, always the same."""
    data = ImageData(config)
    return prepared(data.source.test.pixels[drawn(data.test_rows, IMAGES)], data.normalise)
