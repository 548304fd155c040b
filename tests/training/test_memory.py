"""What cannot fit into memory is refused with an estimate, before anything is created."""

from pathlib import Path

import pytest
from support.composing import config as load_config
from support.lab import Lab

from resnet_lab.config.checks import ConfigError
from resnet_lab.tasks.cost import measure
from resnet_lab.training.memory import refuse_too_large


def test_images_that_are_too_many(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "outputs")
    with pytest.raises(
        ConfigError, match=r"the images need at least 192\.0 GB, but there is only .*: use fewer data\.num_im"
    ):
        lab.run("data.num_images=1000000000")
    assert list(tmp_path.iterdir()) == []


def test_the_estimate_grows_with_batch_and_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config("optim=adam", "trainer=cpu")
    cost = measure(config)

    class Memory:
        total = 16 * cost.params  # weights, gradients and two states, each of 4 bytes

    monkeypatch.setattr("psutil.virtual_memory", lambda: Memory)
    most = Memory.total // (4 * cost.activations)
    refuse_too_large(config, cost, most)
    with pytest.raises(
        ConfigError, match=r"the feature maps of a mini-batch need at least .*: use a smaller optim\.batch_size"
    ):
        refuse_too_large(config, cost, most + 1)
    Memory.total -= 1
    with pytest.raises(
        ConfigError, match=r"the parameters need at least 3\.5 MB, but there is only 3\.5 MB: use fewer filt"
    ):
        refuse_too_large(config, cost)
