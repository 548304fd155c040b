"""Runs on a few pictures, which the tests of this folder share and do not change."""

from pathlib import Path

import numpy as np
import pytest
from least import OWN, Shell, train
from PIL import Image
from support.lab import Lab
from support.pictures import noise, save

from resnet_lab.command import exit_status, main_of


@pytest.fixture(scope="session")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise of two classes in a training and a test part; of the test part, each cat is another kind of image."""
    root = noise(tmp_path_factory.mktemp("pets"), {"train/cat": 9, "train/dog": 9, "test/dog": 3})
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (9, 14, 4), dtype=np.uint8)
    cats = root / "test" / "cat"
    save(cats / "alpha.png", colours)
    save(cats / "deep.png", rng.integers(0, 65536, (8, 8), dtype=np.uint16))
    save(cats / "grey.png", colours[..., 0])
    save(cats / "wide.png", colours[..., :3])
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    save(cats / "turned.jpg", colours[..., :3], exif=exif)
    return root


@pytest.fixture(scope="session")
def pets_run(tmp_path_factory: pytest.TempPathFactory, pets: Path) -> Path:
    """The directory of a run on the pets."""
    return train(Lab(tmp_path_factory.mktemp("outputs")), *OWN, f"data.root={pets}")


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    """A verb as the command line calls it: its exit status, stdout and stderr."""

    def call(verb: str, *words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = exit_status(main_of(verb), [str(word) for word in words])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call
