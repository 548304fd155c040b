"""A user's own module and configurations, with an installed copy of the lab, outside of the checkout."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MINE = """# @package _global_
defaults: [{override /data: stripes}]
name: mine
plugins: [my_lab]
augment: {noise: {strength: 0.1}}
trainer: {max_epochs: 2}
"""
SMALL = ["stacks=two", "filters=w16", "bottleneck=none", "optim.batch_size=16", "trainer=cpu"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel of this checkout is installed."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = (folder / "dist").glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(folder / "site")]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    return folder / "site"


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """A user's folder, with a module and an experiment of their own."""
    shutil.copy(Path(__file__).parent / "my_lab.py", tmp_path)
    (tmp_path / "my_conf" / "experiment").mkdir(parents=True)
    (tmp_path / "my_conf" / "experiment" / "mine.yaml").write_text(MINE)
    return tmp_path


def lab(installed: Path, folder: Path, *words: str) -> str:
    """What a command says, by the installed copy."""
    command = [sys.executable, "-m", *words]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.long
def test_one_of_everything_trains_alone_and_in_a_sweep(installed: Path, user: Path):
    words = ["resnet_lab", "--config-dir", "my_conf", "+experiment=mine", "plugins=[my_lab]", *SMALL]
    said = lab(installed, user, *words, "unit=five", "shortcut=halved", "augment.noise.strength=0.2")
    assert "mine seed 0: validation error " in said
    name = "stacks-two_units-n2_filters-w16_bottleneck-none_unit-five_shortcut-halved_batch_size-16_noise.strength-0.2"
    [run] = (user / "outputs" / "mine").glob("*/seed-0")
    assert run.parent.name == name
    assert json.loads((run / "result.json").read_text())["axes"]["unit"] == "five"
    said = lab(installed, user, *words, "unit=five,basic", "shortcut=halved", "augment.noise.strength=0.2", "-m")
    assert "2 jobs: 1 done, 1 to do" in said
    assert "unit=five" in lab(installed, user, "resnet_lab.report", "outputs")
    assert "inspect.html" in lab(installed, user, "resnet_lab.inspect", str(run), "filters", "mistakes")


def test_a_task_of_ones_own(installed: Path, user: Path):
    words = [
        "resnet_lab",
        "plugins=[my_lab]",
        "data=stripes",
        "task=share",
        *SMALL,
        "unit=basic",
        "trainer.max_epochs=2",
    ]
    said = lab(installed, user, *words, "optim.lr=0.01")
    assert "stripes seed 0: validation distance " in said
    assert "error" not in said.splitlines()[-1]
    assert "test distance" in lab(installed, user, "resnet_lab.report", "outputs")


def test_what_cannot_be_imported_is_one_message(installed: Path, user: Path):
    (user / "broken.py").write_text("1 / 0\n")
    for module, why in (("broken", "ZeroDivisionError: division by zero"), ("absent", "No module named 'absent'")):
        command = [sys.executable, "-m", "resnet_lab", f"plugins=[{module}]"]
        environment = {**os.environ, "PYTHONPATH": str(installed)}
        ended = subprocess.run(command, cwd=user, env=environment, capture_output=True, text=True)
        assert ended.returncode == 1
        assert ended.stderr.count("\n") == 1
        assert f"plugins: cannot import {module}: " in ended.stderr
        assert why in ended.stderr
