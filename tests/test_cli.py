"""The command line, as a person meets it who gets something wrong."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.command import Command, Ended
from support.composing import config as load_config

from resnet_lab.config.groups import GROUPS
from resnet_lab.tasks.cost import measure

pytestmark = pytest.mark.slow

TINY = (
    "stacks=two",
    "units=n2",
    "filters=w16",
    "data=fake",
    "data.image_size=8",
    "data.num_images=64",
    "optim.batch_size=16",
    "trainer=debug",
)


def process(*arguments: str, cwd: Path) -> Ended:
    """The command as a process of its own."""
    ended = subprocess.run([sys.executable, "-m", "resnet_lab", *arguments], cwd=cwd, capture_output=True, text=True)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


MISTAKES = {
    "unknown option": ("stem=nope", "there is no stem=nope; stem can be: cifar, "),
    "mistyped experiment": ("+experiment=cifar10_57", "there is no experiment=cifar10_57; similar: cifar10_56, "),
    "unknown experiment": ("+experiment=nope", "there is no experiment=nope; experiment can be: "),
    "experiment without plus": ("experiment=cifar10_56", r"write \+experiment="),
    "unknown group": ("nogroup=1", "there is no setting nogroup"),
    "misspelt group": ("unitz=n3", "there is no setting unitz; similar names: unit"),
    "misspelt key": ("optim.learning_rate=1", r"there is no setting optim\.learning_rate"),
    "misspelt key, added": ("+optim.lrr=1", r"there is no setting optim\.lrr; similar names: optim\.lr"),
    "setting of other tools": ("epochs=5", r"there is no setting epochs; use trainer\.max_epochs=5"),
    "several devices": ("trainer.strategy=ddp", r"no setting trainer\.strategy: trainer\.devices=2 trains one"),
    "number for a group": ("units=3", "set a group to one of its options, as in units=n3"),
    "null for a group": ("optim=null", "set a group to one of its options"),
    "word for a list": ("model.units=many", r"model\.units must be positive whole numbers, got \['many'\]"),
    "word for a number": ("seed=one", "seed must be a whole number, got one"),
    "fraction for a count": ("trainer.max_epochs=1.5", r"trainer\.max_epochs must be a whole number, got 1\.5"),
    "null": ("seed=null", "seed must be a whole number, got null"),
    "several values": ("units=n2,n3", "to run several values, add -m"),
    "no value": ("units", "overrides are written setting=value"),
    "special characters": ("data.root=~/x", """needs quotes: 'data.root="~/x"'"""),
    "wrong list length": ("model.units=[1,2,3]", r"model\.units must have one entry or one for each of the 2 stacks"),
    "empty list": ("model.units=[]", r"model\.units must have one entry"),
    "indivisible": ("model.reduction=[3]", r"model\.filters 16 is not divisible by model\.reduction 3"),
    "basic with bottleneck": ("unit=basic", "unit=basic has no bottleneck: add bottleneck=none"),
    "too small": ("data.image_size=1", r"data\.image_size 1 is too small for the stem and 2 stacks"),
    "negative count": ("model.units=[-1]", r"model\.units must be positive whole numbers, got \[-1\]"),
    "zero count": ("optim.batch_size=0", r"optim\.batch_size must be at least 1, got 0"),
    "zero epochs": ("trainer.max_epochs=0", r"trainer\.max_epochs must be at least 1, got 0"),
    "negative rate": ("optim.lr=-0.1", r"optim\.lr must be at least 0, got -0\.1"),
    "not a number": ("optim.lr=nan", r"optim\.lr must be a number from 0 to .*, got nan"),
    "negative seed": ("seed=-1", r"seed must be 0 to 4294967295, got -1"),
    "everything held out": ("data.validation=64", r"data\.validation.* 64"),
    "missing folder": (
        "data=image_folder",
        r"data\.root=data: there is no such folder; name yours, as in data\.root=my_images",
    ),
    "unwritable": ("output_dir=/dev/null/x", r"output_dir: cannot create /dev/null/x/.*: /dev/null is not a folder"),
    "folder for a name": ("name=a/b", "name must be a folder name of at most 100 printable .*, got 'a/b'"),
    "hidden name": ("name=.x", r"name must be .* that does not begin with a dot, got '\.x'"),
    "name with an escape": ("name='a\x1b[31m'", r"name must be .* printable .*, got 'a\\x1b\[31m'"),
    "unknown precision": ("trainer.precision=16", r"trainer\.precision must be one of auto, 32"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_message_and_leaves_nothing(command: Command, tmp_path: Path, mistake: str):
    override, message = MISTAKES[mistake]
    ended = command(*TINY, override)
    assert_refused(ended, tmp_path)
    assert re.search(message, ended.stderr), ended.stderr


def assert_refused(ended: Ended, folder: Path) -> None:
    assert ended.status == 1
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Error executing job" not in ended.stderr
    assert not list(folder.iterdir())


def test_a_misspelt_command_is_named(command: Command, tmp_path: Path):
    ended = command("predct", "some_run", "photos")
    assert_refused(ended, tmp_path)
    assert ended.stderr == "there is no command predct; did you mean resnet-lab predict?\n"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(command: Command, tmp_path: Path):
    ended = command(*TINY, "trainer=gpu")
    assert_refused(ended, tmp_path)
    assert "torch finds no CUDA GPU here, and no other accelerator is supported" in ended.stderr


def test_unknown_flag(command: Command, tmp_path: Path):
    ended = command("--nonsense")
    assert ended.status == 2  # as of every program with options
    assert ended.stderr.startswith("usage: resnet-lab [-m]")
    assert "error: unrecognized arguments: --nonsense; settings have no dashes, as in " in ended.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("overrides", [("stem=nope",), (*TINY, "unit=basic")])
def test_a_mistake_in_a_real_process(tmp_path: Path, overrides: tuple[str, ...]):
    assert_refused(process(*overrides, cwd=tmp_path), tmp_path)


def test_help_lists_the_groups_and_does_not_wait_for_torch(tmp_path: Path):
    code = (
        "import atexit, sys; from resnet_lab.__main__ import main\n"
        "atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr))\n"
        "main()"
    )
    ended = subprocess.run([sys.executable, "-c", code, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0
    assert ended.stderr == "False\n"
    for group in GROUPS:
        assert f"{group}: " in ended.stdout
    assert "python -m resnet_lab" in ended.stdout
    assert not list(tmp_path.iterdir())


# --- what succeeds


def runs(folder: Path) -> list[str]:
    """The states of all runs below a folder, by the names of their last two folders."""
    return sorted("/".join(path.parts[-3:-1]) for path in folder.rglob("status.json"))


def test_one_run(command: Command, tmp_path: Path):
    ended = command(*TINY)
    assert ended.status == 0
    assert ended.stdout.count("\n") == 1
    assert ended.stdout.startswith("fake seed 0: validation error ")
    assert "train 1 epoch\n" in ended.stderr
    again = command(*reversed(TINY))
    assert again.stdout == ended.stdout
    assert again.stderr.endswith("/seed-0 is already done\n")
    assert len(runs(tmp_path)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]


def test_a_mistake_of_the_lab_itself_is_one_line_and_a_file(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr("resnet_lab.training.run.LoadedImages", lambda *_: 1 // 0)
    ended = command(*TINY)
    assert ended.status == 1
    [file] = folder.glob("resnet-lab-*.txt")
    [line] = ended.stderr.splitlines()
    assert line.startswith("unexpected error: ZeroDivisionError: ")
    assert line.endswith(f"this is a bug of resnet_lab, please report it with {file}")
    assert "Traceback" in file.read_text()


def test_dry_run(command: Command, tmp_path: Path):
    ended = command(*TINY, "dry_run=true")
    assert ended.status == 0
    assert ended.stdout == ""
    assert "depth 14" in ended.stderr
    assert not list(tmp_path.iterdir())


def test_from_any_folder_in_a_real_process(tmp_path: Path):
    ended = process(*TINY, "output_dir=here", cwd=tmp_path)
    assert ended.status == 0, ended.stderr
    assert ended.stdout.startswith("fake seed 0: validation error ")
    assert ": train 1 epoch\nnote: " in ended.stderr
    assert len(ended.stderr.splitlines()) == 7  # network, data, device, directory; a note on classes; epoch; time
    log = next(tmp_path.rglob("run.log")).read_text()
    assert [line for line in ended.stderr.splitlines() if line not in log] == []  # nor is there more than the lab's own
    assert len(log.splitlines()) == 7
    assert os.listdir(tmp_path) == ["here"]


def test_a_sweep_of_which_no_job_can_run_says_why_once(command: Command, tmp_path: Path):
    (tmp_path / "file").touch()
    ended = command("-m", *TINY, "seed=0,1", "output_dir=file/runs")
    assert (ended.status, ended.stdout) == (1, "")
    assert ended.stderr.startswith("none of 2 jobs can run, the first since output_dir: cannot create file/runs/")
    assert ended.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_dry_run_of_a_sweep_lists_and_makes_nothing(command: Command, tmp_path: Path):
    ended = command("-m", *TINY, "units=n2,n3", "model.reduction=[4],[5]", "dry_run=true")
    assert ended.status == 0
    lines = ended.stdout.splitlines()
    cost = measure(load_config(*TINY, "units=n3", "model.reduction=[4]"))
    assert lines[0].split() == ["job", "depth", "params", "MACs", "state"]
    [row] = [line for line in lines if line.startswith("units=n3 model.reduction=[4]")]
    assert row.split()[2:] == [f"{cost.depth}", f"{cost.params:,}", f"{cost.macs:,}", "to", "do"]
    assert sum("impossible: model.filters 16 is not divisible by model.reduction 5" in line for line in lines) == 2
    assert not list(tmp_path.iterdir())


SWEEP_MISTAKES = {
    "+trainer.strategy=ddp": "there is no setting trainer.strategy: trainer.devices=2 trains one network",
    "trainer.devices=2": "trainer.devices=2, but each job of this sweep has 1 device: on GPUs, set hydra.launcher.",
    "hydra.launcher.gpus_per_job=0": "hydra.launcher.gpus_per_job must be a whole number above 0, got 0",
    "units=n2,nope": "there is no units=nope; units can be: ",
    "hydra.launcher.jobs=0": "hydra.launcher.jobs must be a whole number above 0, got 0",
    "hydra.launcher.jobs_per_gpu=0.5": "hydra.launcher.jobs_per_gpu must be a whole number above 0, got 0.5",
    "hydra.launcher.jobs_per_gpu=null": "hydra.launcher.jobs_per_gpu must be a whole number above 0, got None",
    "hydra.launcher.jobs=true": "hydra.launcher.jobs must be a whole number above 0, got True",
    "hydra.launcher.mps=perhaps": "hydra.launcher.mps must be true or false, got perhaps",
    "hydra.launcher.time_limit=-1": "hydra.launcher.time_limit must be a number of minutes above 0, got -1",
}


@pytest.mark.parametrize("override", SWEEP_MISTAKES)
def test_a_mistake_in_a_sweep_is_told_before_anything_begins(command: Command, tmp_path: Path, override: str):
    ended = command("-m", *TINY, "seed=0,1", override)
    assert_refused(ended, tmp_path)
    assert ended.stderr.startswith(SWEEP_MISTAKES[override])
