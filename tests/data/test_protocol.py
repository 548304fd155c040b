"""What a classifier needs of its data is checked before anything begins."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.composing import config as load_config
from support.lab import Lab

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.datamodule import ImageData


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def put(root: Path, *folders: str, count: int = 4) -> Path:
    rng = np.random.default_rng(0)
    for folder in folders:
        for number in range(count):
            path = root / folder / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    return root


def test_everything_in_one_class_is_refused(tmp_path: Path) -> None:
    """As if data.root were a folder too high: the classes look like sub-folders of one."""
    root = put(tmp_path / "images", "train/pets/cat", "train/pets/dog", "test/pets/cat", "test/pets/dog")
    with pytest.raises(
        ConfigError, match=r"needs at least 2 classes, got 1: is data\.root=.* one level too high or too"
    ):
        load_config("data=image_folder", f"data.root={root}")
    for option in ("data=fake", "data=image_folder"):
        with pytest.raises(ConfigError, match="needs at least 2 classes, got 1"):
            load_config(option, "data.num_classes=1")


def test_a_folder_too_low_is_refused(tmp_path: Path) -> None:
    root = put(tmp_path / "images", "train/cat", "train/dog", "test/cat", "test/dog")
    with pytest.raises(ConfigError, match=r"has no class folders; it has 0 folders and 4 files; expected "):
        load_config("data=image_folder", f"data.root={root}/train/cat")


def test_a_stored_run_of_one_class_can_still_be_read() -> None:
    """It was trained before this was refused."""
    from resnet_lab.config.stored import from_dict, to_stored

    stored = to_stored(load_config("data=fake", "data.num_classes=2"))
    stored["data"]["num_classes"] = stored["model"]["num_classes"] = 1
    assert from_dict(stored).data.num_classes == 1


@pytest.mark.slow
def test_no_validation_part_is_told_and_refused_where_one_is_needed(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "outputs")
    root = put(tmp_path / "images", "train/cat", "train/dog", "test/cat", "test/dog", count=2)
    own = ("data=image_folder", f"data.root={root}", "data.num_classes=null", "data.validation=0.1")
    note = "there is no validation part: too few training images to hold one out"
    assert note in ImageData(lab.config(*own)).notes
    result = lab.run(*own)
    assert (result["best"], result["last"]["val_error"]) == (None, None)
    assert note in result["images"]["notes"]
    assert note in lab.directory(*own).log_file.read_text()
    with pytest.raises(
        ConfigError, match=r"^objective: val_error needs validation images: increase data\.validation, or add"
    ):
        lab.run(*own, "objective=[val_error]", "seed=1")
    with pytest.raises(ConfigError, match=r"^optim\.schedule\.watch: val/loss needs validation images: increase"):
        lab.run(*own, "optim.schedule=plateau", "seed=1")
