"""Runs of the least network that there is, and how the tests of this folder call the command line."""

from collections.abc import Callable
from pathlib import Path

from support.lab import Lab

LEAST = ("stacks=two", "model.units=[1]", "filters=w1", "bottleneck=none", "trainer.max_epochs=1", "data.validation=6")
OWN = ("data=image_folder", "data.image_size=8", "data.channels=3", "data.num_classes=null", "data.range=[0,65535]")
Shell = Callable[..., tuple[int, str, str]]


def train(lab: Lab, *overrides: str) -> Path:
    """Return the directory of a run of the least network."""
    lab.run(*LEAST, *overrides)
    return lab.directory(*LEAST, *overrides).path
