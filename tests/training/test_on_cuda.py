"""Runs on a GPU in name only: what crosses between the devices, and what fails where it would fail on a GPU.

The numbers are computed on the CPU: kernels of a GPU, its streams and the allocation of its memory are not tested here.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from support.graphs import REFUSED
from support.lab import Lab, same_weights, without_times

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux" or not shutil.which("g++"), reason="needs g++, to build a library"),
    pytest.mark.skipif(torch.version.cuda is not None, reason="this torch has CUDA itself"),
]

TESTS = Path(__file__).parents[1]
CHANGES = (
    "units=n1",
    "trainer.precision=32",
    "optim.lr=0.125",  # which float32, in which a recorded step reads it, holds exactly, like the rates below
    "optim.lr_factors=[0.5,0.25]",
    "optim.batch_size=10",
    "shortcut=dropout",
    "trainer.eval_batch_size=9",
    "trainer.steps_per_call=2",  # three calls per epoch
)

# What may cross between the devices, and how often. In every epoch, however many calls and steps it has:
EPOCH = {
    "to device: data/loader.py TrainLoader.__iter__": 3,  # two offsets of the crop, and the flips
    "to device: data/stores.py ImageStore.batches": 2,  # the order of training and validation
    "to host: training/step.py Totals.means": 2,  # of training and validation
    "to host: training/checkpoint.py _host_copies": 2,  # all tensors of the checkpoint: floats and whole numbers
}
# Once, before the first epoch, in it, and after the last:
START = {
    "to device: data/stores.py ImageStore.__init__",
    "to device: data/stores.py OnDevice.__init__",
    "to device: training/optimizer.py make_recordable",
    "to device: training/run.py Job.train",  # Lightning moves the network, and counts batches
    "wait: training/run.py Job.train",
}
FIRST_EPOCH = {
    "to device: data/images.py per_channel",  # mean and std, in the first run of a process
    "to device: training/graphs.py undone",
    "to host: training/graphs.py undone",
}
PREDICTIONS = "to host: training/predictions.py DetailedTotals.per_image"
TEST = {
    "to device: data/stores.py ImageStore.__init__",
    "to device: data/stores.py OnDevice.__init__",
    "to device: data/stores.py ImageStore.batches",
    "to device: data/stores.py copied",  # validation images
    "to device: training/run.py Job._test",
    "to host: training/run.py Job._test",
    "to host: training/run.py Job.train",
    "to host: training/step.py Totals.means",
    PREDICTIONS,
    "wait: tasks/classification.py ClassDetails.add",
    "wait: training/run.py Job._test",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cuda")


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    """What `on_cuda.py` prints."""
    there, library = Path(torch.__file__).parent, folder / "cuda.so"
    libraries = (f"-L{there / 'lib'}", f"-Wl,-rpath,{there / 'lib'}", "-lc10", "-ltorch_cpu")
    options = ("-std=c++20", "-O0", "-fPIC", "-shared", f"-I{there / 'include'}", "-o", library)
    subprocess.run(["g++", *options, TESTS / "support" / "cuda.cpp", *libraries], check=True)
    paths = os.pathsep.join(filter(None, [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, TESTS / "training" / "on_cuda.py", library, folder, *CHANGES]
    printed = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, check=True
    ).stdout
    return json.loads(printed)


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_the_host_and_the_device_meet_only_where_they_must(found: dict[str, Any], precision: str):
    start, first, second, test = found["crossed"][precision]
    assert second == EPOCH
    assert {*second} <= {*first} <= FIRST_EPOCH | {*second}
    assert {name: first[name] for name in second} == second
    assert ({*start}, {*test}) == (START, TEST)
    assert test[PREDICTIONS] == 2 * 2 * 3  # for last and best weights and both parts, three arrays, of many batches


@pytest.mark.usefixtures("found")
def test_a_run_gives_the_numbers_of_one_on_the_cpu(lab: Lab, folder: Path):
    expected = lab.run(*CHANGES)
    there = Lab(folder / "32")
    result = there.directory(*CHANGES).result()
    assert result
    assert without_times(result) == without_times(expected) | {"device": result["device"]}
    assert same_weights(there.checkpoint(*CHANGES), lab.checkpoint(*CHANGES))
    stored = [one.directory(*CHANGES).predictions_file.read_bytes() for one in (there, lab)]
    assert stored[0] == stored[1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("adds_between_devices", "Expected all tensors to be on the same device"),
        ("waits", REFUSED),
        ("copies_to_host", REFUSED),
    ],
)
def test_a_wrong_step_fails(found: dict[str, Any], wrong: str, message: str):
    assert message in found["failures"][wrong]
