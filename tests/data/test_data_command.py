"""`resnet-lab data` lists what is cached and removes it, but not what another process is making."""

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from PIL import Image
from support.composing import config as load_config

from resnet_lab.command import exit_status
from resnet_lab.data.__main__ import main
from resnet_lab.data.cache import LOCK
from resnet_lab.data.cached import entries
from resnet_lab.data.sources import read


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder with the images of two folders."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("one", "two"):
        for file in ("train/a/1.png", "train/b/1.png", "test/a/1.png"):
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (5, 4)).save(path)
        read(load_config("data=image_folder", f"data.root={tmp_path / name}", "data.image_size=[4,5]").data)
    return tmp_path / "cache" / "resnet_lab" / "images"


def test_the_list(cached: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    for name in ("one", "two"):
        [line] = [line.split() for line in shown.splitlines() if f"{tmp_path / name} " in line]
        assert line[1:3] == ["3", "3x4x5"]
        assert line[-1] in {path.name for path in cached.iterdir()}


def test_images_of_which_the_centre_is_used(cached: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ("data.image_size=[4,5]", "data.crop=[3,2]")
    read(load_config("data=image_folder", f"data.root={tmp_path / 'one'}", *size).data)
    assert main([]) == 0
    shapes = [line for line in capsys.readouterr().out.splitlines() if f"{tmp_path / 'one'} " in line]
    assert sorted("of 3x2" in line for line in shapes) == [False, True]


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        ("data.store=files", "facts only"),
        ("data.pack.side=5", "shorter side 5, JPEG 95"),
        ("data.pack.side=5 data.pack.quality=null data.crop=[3,2]", "shorter side 5, pixels of 3x2"),
    ],
)
def test_what_is_kept_of_images_in_files(
    cached: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], choice: str, kept: str
) -> None:
    own = ("data=image_folder", f"data.root={tmp_path / 'one'}", "data.image_size=[4,5]")
    read(load_config(*own, *choice.split()).data)
    assert main([]) == 0
    assert kept in capsys.readouterr().out


def test_clearing(cached: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(main, ["--clear"]) == 1
    assert "there is no terminal: add --yes" in capsys.readouterr().err
    busy, _ = entries()
    with FileLock(busy / LOCK):
        assert main(["--clear", "--yes"]) == 0
    assert f"skipped: another process is decoding into {busy}" in capsys.readouterr().out
    assert entries() == [busy]
    assert main(["--clear", "--yes"]) == 0
    assert list(cached.iterdir()) == []
    assert main([]) == 0


def test_wrong_use_is_told_before_anything_heavy_is_imported() -> None:
    code = "import sys; from resnet_lab.data.__main__ import main; main(['--yes'])"
    ended = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True)
    assert ended.returncode == 2
    assert "--yes needs --clear" in ended.stderr
    assert "numpy" not in ended.stderr
