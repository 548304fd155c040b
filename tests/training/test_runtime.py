"""What `auto` chooses, that it says why, and what it leaves behind in the process."""

import dataclasses
import subprocess
import sys

import pytest
import torch
from support.composing import config as load_config

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Accelerator
from resnet_lab.tasks.cost import measure
from resnet_lab.training.runtime import CALL_STEPS_ON_GPU, Runtime


def runtime(*overrides: str) -> Runtime:
    config = load_config(*overrides)
    return Runtime.resolve(config, measure(config).macs)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were a GPU that computes bf16."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: True)


@pytest.mark.usefixtures("gpu")
def test_on_a_gpu():
    chosen = runtime("+experiment=cifar10_20")
    assert (chosen.accelerator, chosen.precision, chosen.graphs) == ("gpu", "bf16-mixed", True)
    assert chosen.steps_per_call == CALL_STEPS_ON_GPU
    assert "steps replayed as CUDA graphs (launching kernels one by one is slower)" in chosen.reasons
    assert runtime("+experiment=imagenet_50", "data=fake", "data.image_size=224").steps_per_call == 1  # 150 MB each


@pytest.mark.usefixtures("gpu")
def test_double_precision_is_eager():
    """On an H100, replayed steps in float64 differed from eager ones: torch reads a recorded rate as float32."""
    chosen = runtime("+experiment=cifar10_20", "trainer.precision=64")
    assert not chosen.graphs
    assert "eager steps (a recorded step reads the learning rate as float32)" in chosen.reasons
    with pytest.raises(ConfigError, match=r"trainer\.graphs=true: .* use trainer\.graphs=false"):
        runtime("+experiment=cifar10_20", "trainer.precision=64", "trainer.graphs=true")


@pytest.mark.usefixtures("gpu")
def test_every_choice_can_be_made_by_hand():
    chosen = runtime(
        "+experiment=cifar10_20",
        "trainer.graphs=false",
        "trainer.compile=inductor",
        "trainer.precision=32",
        "trainer.steps_per_call=5",
        "trainer.channels_last=false",
    )
    expected = "32-true, channels-first, eager steps, compiled by inductor, 5 mini-batches per call"
    assert (chosen.graphs, chosen.compiles, chosen.reasons) == (False, True, expected)
    assert runtime("trainer=cpu").accelerator == "cpu"


def test_a_stored_network_is_computed_wherever_it_was_trained():
    """As `inspect` and `evaluate` do: its own settings may ask for a GPU or a precision that is not there."""
    config = load_config("trainer.precision=tf32", "trainer.num_threads=3")
    config.trainer.accelerator = Accelerator.gpu
    here = Runtime.here(config, measure(config).macs)
    assert here == runtime("trainer.kernels=torch")  # own ones are for training steps
    assert here.num_threads == 1


@pytest.mark.usefixtures("gpu")
def test_tf32_is_used_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch):
    """Torch's own default is TF32 in convolutions and not in products of matrices."""
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: (8, 0))
    for precision in ("32-true", "tf32"):
        chosen = runtime("+experiment=cifar10_20", f"trainer.precision={precision}")
        assert (chosen.precision, chosen.storage) == (precision, "32-true")
        chosen = dataclasses.replace(chosen, accelerator="cpu")  # whose memory can be asked for here
        with chosen.set_up():
            used = {torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32}
            assert used == {precision == "tf32"}
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: (7, 5))
    with pytest.raises(ConfigError, match=r"trainer\.precision=tf32 needs an NVIDIA GPU .* use 32-true"):
        runtime("trainer.precision=tf32")


def test_on_a_cpu():
    small, large = runtime("trainer=cpu"), runtime("+experiment=cifar10_164", "trainer.accelerator=cpu")
    assert (small.precision, small.graphs, small.num_threads) == ("32-true", False, 1)
    assert small.steps_per_call > large.steps_per_call == 1
    assert large.num_threads == torch.get_num_threads()
    assert "1 thread (the network is small)" in small.reasons
    assert "eager steps (CUDA graphs need a GPU)" in small.reasons


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("setting", ["trainer.accelerator=gpu", "trainer.graphs=true"])
def test_no_gpu(setting: str):
    with pytest.raises(ConfigError, match=f"{setting}: torch finds no CUDA GPU here"):
        runtime(setting)


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with runtime("trainer=cpu", "trainer.num_threads=3").set_up():
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == before


FAULTS = """
import resource, sys, torch
from resnet_lab.config.compose import load_config
from resnet_lab.training.runtime import Runtime
runtime = Runtime.resolve(load_config("trainer=cpu"), 1)
if sys.argv[1] == "kept":
    runtime.set_up().__enter__()
for _ in range(3):
    torch.empty(2**24).fill_(0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.empty(2**24).fill_(0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_large_allocations_are_kept():
    """Blocks of 64 MB that are freed and taken again: without, the system makes new pages for every one."""
    faults = {
        how: int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, check=True).stdout)
        for how in ("kept", "returned")
    }
    assert faults["kept"] * 4 < faults["returned"]  # a busy system may take some back
