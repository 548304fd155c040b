"""A stored network is used on files as it was on the images of its run."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.lab import Lab

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.sources import read
from resnet_lab.use.trained import Trained


def test_outputs_for_files_are_those_of_the_test(lab: Lab, tmp_path: Path):
    result = lab.run()
    trained, test = Trained.load(lab.directory().path), read(lab.config().data).test
    assert trained.classes == ("0", "1", "2")
    for row, pixels in enumerate(test.pixels):
        Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(tmp_path / f"{row}.png")
    again = np.stack([trained.read(tmp_path / f"{row}.png") for row in range(len(test))])
    assert np.array_equal(again, test.pixels)
    probabilities = trained.probabilities(again)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(len(test)))
    wrong = (probabilities.argmax(dim=1).numpy() != test.labels).mean()
    assert 100 * wrong == pytest.approx(result["last"]["test_error"])


def test_what_is_not_there_is_one_message(lab: Lab, tmp_path: Path):
    with pytest.raises(ConfigError, match="is not a run directory"):
        Trained.load(tmp_path)
    lab.run()
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ConfigError, match=r"cannot decode .*text\.png"):
        Trained.load(lab.directory().path).read(tmp_path / "text.png")


def test_a_range_that_an_earlier_version_stored_as_a_tuple(pets_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(pets_run, tmp_path / "run"))
    stored = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert stored["resnet_lab"]["images"]["range"] == [0, 65535]
    stored["resnet_lab"]["images"]["range"] = (5.0, 100.0)
    torch.save(stored, run / "checkpoints" / "last.ckpt")
    assert Trained.load(run).config.data.range == [5, 100]
