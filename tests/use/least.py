"""Runs of the least network that there is, and how the tests of this folder call the command line."""

from collections.abc import Callable
from pathlib import Path

import torch
from support.lab import Lab

from resnet_lab import load_run
from resnet_lab.data.decode import read_image
from resnet_lab.data.fit import Decoding
from resnet_lab.data.images import Normalisation

LEAST = ("stacks=two", "model.units=[1]", "filters=w1", "bottleneck=none", "trainer.max_epochs=1", "data.validation=6")
OWN = ("data=image_folder", "data.image_size=8", "data.channels=3", "data.num_classes=null", "data.range=[0,65535]")
Shell = Callable[..., tuple[int, str, str]]


def train(lab: Lab, *overrides: str) -> Path:
    """Return the directory of a run of the least network."""
    lab.run(*LEAST, *overrides)
    return lab.directory(*LEAST, *overrides).path


def by_hand(run_dir: Path, file: Path) -> dict[str, float]:
    """The probabilities of cat and dog, with the parts that a notebook uses."""
    config, net = load_run(run_dir)
    pixels = torch.from_numpy(read_image(file, Decoding.of(config.data)).copy())[None]
    assert config.data.mean
    assert config.data.std
    with torch.no_grad():
        logits = net(Normalisation(tuple(config.data.mean), tuple(config.data.std))(pixels))
    return dict(zip(("cat", "dog"), logits.softmax(dim=1)[0].tolist(), strict=True))
