"""Classes with names that nobody would choose: training, its pictures and `inspect` take them as they are."""

import os
from html import escape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.lab import Lab, events

from resnet_lab.inspect.__main__ import main
from resnet_lab.job import callbacks
from resnet_lab.text import visible

NAMES = {
    b"caf\xe9": r"caf\xe9",
    b"$1_to_$5": "$1_to_$5",
    b"$6_to_$9": "$6_to_$9",
    b'<b>&"[bold]': '<b>&"[bold]',
    b"\x1b[31m\nz": r"\x1b[31m\x0az",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Noise of these classes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in NAMES:
            images = tmp_path / "images" / part / os.fsdecode(name)
            images.mkdir(parents=True)
            for number in range(8):
                pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(images / f"{number}.png")
    return tmp_path / "images"


@pytest.mark.slow
def test_training_and_inspect(lab: Lab, folder: Path, capsys: pytest.CaptureFixture[str]):
    changes = ("data=image_folder", f"data.root={folder}", "data.num_classes=null", "data.validation=8")
    changes = (*changes, "trainer.max_epochs=1", "diagnostics=full")
    lab.run(*changes, callbacks=callbacks(lab.config(*changes)))
    directory = lab.directory(*changes)
    log = directory.log_file.read_text()
    assert "failed" not in log
    assert visible(log, keep="\n") == log
    assert "pictures/confusion" in events(directory.path).Tags()["images"]
    [labels] = directory.path.glob("*/features/metadata.tsv")
    assert set(labels.read_text().splitlines()) == set(NAMES.values())

    assert main([str(directory.path), "saliency", "mistakes", "--class", r"caf\xe9"]) == 0
    assert "failed" not in capsys.readouterr().err
    page = (directory.path / "inspect.html").read_text()
    chosen = page.partition("chosen images: ")[2].partition("</p>")[0]
    for name in NAMES.values():
        assert f": {escape(name)}".replace("&quot;", "&#34;") in chosen
