"""How little it takes to add to the lab itself: a patch of three files is applied to a copy of the checkout."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PATCH = Path(__file__).parent / "extension.patch"

DRIVER = """
import signal, sys
import torch
from pytorch_lightning import Callback
from resnet_lab.config.compose import load_config
from resnet_lab.config.registry import TASKS
from resnet_lab.inspect.__main__ import main as inspect
from resnet_lab.interrupts import Interrupted
from resnet_lab.report.__main__ import main as report
from resnet_lab.rundir.place import run_directory
from resnet_lab.training.run import run

class Stop(Callback):
    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == 1:
            raise Interrupted(signal.SIGINT)

torch.set_num_threads(1)
overrides = ["stacks=two", "filters=w16", "bottleneck=none", "unit=basic", "data=fake"]
overrides += ["data.image_size=8", "data.num_images=64", "trainer.max_batches=3", "trainer=cpu"]
overrides += ["trainer.max_epochs=2", *sys.argv[1:]]
config = load_config(*overrides)
try:
    run(config, [Stop()])
except Interrupted:
    directory = run_directory(config)
assert directory.status()["state"] == "interrupted"
result = run(config)
whole = load_config(*overrides, "output_dir=whole")
assert result["history"][-1]["train/loss"] == run(whole)["history"][-1]["train/loss"]
weights, others = (torch.load(d.last, weights_only=True)["state_dict"] for d in (directory, run_directory(whole)))
assert all(torch.equal(weights[name], others[name]) for name in weights)
assert report(["outputs"]) == 0
figures = [name for name in TASKS.info(config.task).figures if name in ("flow", "filters", "mistakes")]
assert inspect([str(directory.path), *figures]) == 0
print("all", directory.path)
"""


@pytest.fixture(scope="module")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and its settings, with the patch."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("resnet_lab", "conf", "hydra_plugins"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "apply", str(PATCH)], cwd=folder, check=True, capture_output=True)
    return folder


def test_the_patch_is_small():
    lines = PATCH.read_text().splitlines()
    assert sum(line.startswith("+++ ") for line in lines) <= 3
    assert sum(bool(re.match(r"[+-](?![+-]{2} )", line)) for line in lines) <= 60


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (
            ("unit=five", "augment.noise.strength=0.2", "data=stripes"),
            ("unit-five", "noise.strength-0.2", "stripes"),
        ),
        pytest.param(("task=share",), ("task-share",), marks=pytest.mark.long),
    ],
)
def test_what_is_added_trains_resumes_reports_and_is_inspected(
    patched: Path, tmp_path: Path, overrides: tuple[str, ...], named: tuple[str, ...]
):
    environment = {**os.environ, "PYTHONPATH": str(patched)}
    command = [sys.executable, "-c", DRIVER, *overrides]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    last = ended.stdout.splitlines()[-1]
    assert last.startswith("all outputs/")
    assert all(name in last for name in named)


ADDED = """
import json, shutil, sys
from pathlib import Path
from resnet_lab.config.compose import load_config
from resnet_lab.rundir.place import run_directory
from resnet_lab.training.run import run

golden = Path(sys.argv[1])
shutil.copytree(golden, "outputs")
for place, expected in json.loads((golden / "continued.json").read_text()).items():
    config = load_config(*expected["overrides"])
    assert config.optim.dummy == 0.5
    assert str(run_directory(config).path) == place
    result = run(config)
    assert [record["epoch"] for record in result["history"]] == [1, 2, 3, 4]
    assert result["history"][:2] != result["history"][2:]
    assert result["history"][1]["train/loss"] == expected["history"][1]["train/loss"]
    other = load_config(*expected["overrides"], "optim.dummy=0.7")
    assert str(run_directory(other).path) != place
"""


def test_a_setting_that_is_added_orphans_no_run_of_0_1(tmp_path: Path):
    """It counts as its default in runs that were stored before it was there."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    shutil.copytree(ROOT / "resnet_lab", tmp_path / "resnet_lab", ignore=shutil.ignore_patterns("__pycache__"))
    schema = tmp_path / "resnet_lab" / "config" / "optim.py"
    text = schema.read_text()
    assert "    clip_norm: float" in text
    schema.write_text(text.replace("    clip_norm: float", "    dummy: float = 0.5\n    clip_norm: float"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", ADDED, str(ROOT / "tests" / "golden" / "runs" / "0.1")]
    (tmp_path / "user").mkdir()
    ended = subprocess.run(command, cwd=tmp_path / "user", env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
