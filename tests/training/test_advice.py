"""What is said of a failure follows from what caused it, however deep that is hidden."""

import errno
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Callback
from support.lab import Lab

from resnet_lab.interrupts import RunFailed
from resnet_lab.training.advice import advice

CAPTURING = (
    "CUDA error: operation not permitted when stream is capturing",
    "CUDA error: operation failed due to a previous error during capture",
    "Cannot call CUDAGeneratorImpl::current_seed during CUDA graph capture.",
)
SMALLER = "use a smaller optim.batch_size"
NO_GRAPHS = "trainer.graphs=false"


def advised(error: Exception) -> str:
    return advice(error, Path("run.log"))


def in_place_of(hidden: Exception, error: Exception, deeper: bool = False) -> Exception:
    """The error as it is when it was raised while the hidden one was handled, or from it."""
    try:
        try:
            raise hidden
        except Exception as handled:
            if deeper:
                raise error from in_place_of(handled, ValueError("between"))
            raise error  # noqa: B904 - what is tested
    except Exception as raised:
        return raised


@pytest.mark.parametrize("message", CAPTURING)
def test_a_capture_that_failed(message: str):
    said = advised(RuntimeError(message))
    assert NO_GRAPHS in said
    assert SMALLER not in said
    assert advised(in_place_of(RuntimeError(message), ValueError("other"))) == said


def test_memory_of_the_cpu_ran_out():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**58, dtype=torch.uint8)  # more than any address space
    assert advised(caught.value).startswith(SMALLER)
    assert advised(MemoryError()).startswith(SMALLER)


@pytest.mark.parametrize("deeper", [False, True])
def test_memory_ran_out_while_capturing(deeper: bool):
    """Capturing ends with an error of its own, behind which the cause is hidden."""
    error = in_place_of(torch.OutOfMemoryError("CUDA out of memory"), RuntimeError(CAPTURING[0]), deeper)
    said = advised(error)
    assert said.startswith(SMALLER)
    assert NO_GRAPHS in said


def test_memory_ran_out():
    said = advised(torch.OutOfMemoryError("CUDA out of memory"))
    assert said == f"{SMALLER}, or trainer.precision=bf16-mixed"
    assert advised(in_place_of(torch.OutOfMemoryError(), RuntimeError("the step failed"), deeper=True)) == said


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk(number: int):
    """`torch.save` says something about positions in the file instead."""
    said = advised(in_place_of(OSError(number, "full", "/capture/last.ckpt"), RuntimeError("unexpected pos 64 vs 0")))
    assert said.startswith("free some disk space")


@pytest.mark.parametrize("error", [RuntimeError("out of luck"), OSError(errno.EIO, "broken")])
def test_of_anything_else_there_is_the_traceback(error: Exception):
    assert advised(error).startswith("the traceback is in run.log; ")


class FailsToCapture(Callback):
    """As on a GPU, where an operation in the step cannot be recorded for lack of memory."""

    def on_train_batch_start(self, *_: object) -> None:
        raise in_place_of(torch.OutOfMemoryError("CUDA out of memory"), RuntimeError(CAPTURING[1]))


def test_a_run_ends_with_the_advised(lab: Lab):
    with pytest.raises(RunFailed, match=rf"has failed: RuntimeError: {CAPTURING[1]}; {SMALLER}, or {NO_GRAPHS}"):
        lab.run(callbacks=[FailsToCapture()])
