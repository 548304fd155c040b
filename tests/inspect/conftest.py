from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.composing import config as load_config
from support.scene import Run, build, state

from resnet_lab.model.resnet import ResNetV2
from resnet_lab.rundir.place import run_directory
from resnet_lab.training.run import run


@pytest.fixture
def untouched() -> Iterator[Callable[..., ResNetV2]]:
    """Builds networks, and sees to it that looking at them changes no weight, mode, hook or random state."""
    built: list[tuple[ResNetV2, Any]] = []

    def make(*overrides: str) -> ResNetV2:
        net = build(*overrides)
        built.append((net, state(net)))
        return net

    drawn = torch.get_rng_state()
    yield make
    for net, before in built:
        assert state(net) == before
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small network that knows its digits: 14 layers, some 5 % error after seconds."""
    overrides = [
        "stacks=two",
        "units=n2",
        "filters=w16",
        "bottleneck=half",
        "trainer=cpu",
        "trainer.max_epochs=20",
        f"output_dir={tmp_path_factory.mktemp('trained')}",
    ]
    config = load_config(*overrides)
    result = run(config)
    assert result["last"]["test_error"] < 10
    path: Path = run_directory(config).path
    return Run(path)
