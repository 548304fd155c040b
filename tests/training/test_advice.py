"""What is said of a failure follows from what caused it, however deep that is hidden."""

import errno

import pytest
import torch
from pytorch_lightning import Callback
from support.lab import FailsAt, Lab
from support.scene import TASK

from resnet_lab.interrupts import RunFailed
from resnet_lab.training.advice import advice
from resnet_lab.training.graphs import CaptureFailed, CudaGraph, GraphCapture, GraphedStep
from resnet_lab.training.step import EvaluationStep, Totals

CAPTURING = "CUDA error: operation failed due to a previous error during capture"  # with which CUDA ends a recording
SMALLER = "use a smaller optim.batch_size"
NO_GRAPHS = "trainer.graphs=false"


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


class FailedCapture(GraphCapture):
    """Recording fails with these errors, each behind the next one, and with that of CUDA."""

    def __init__(self, *hidden: Exception) -> None:
        self.hidden = hidden

    def warm_up(self, *_: object) -> None:
        pass

    def record(self, *_: object) -> CudaGraph:
        for error in self.hidden:
            raise in_place_of(error, RuntimeError(CAPTURING))
        raise RuntimeError(CAPTURING)


def failed_capture(*hidden: Exception) -> Exception:
    """The error of a step that cannot be recorded."""
    step = GraphedStep(EvaluationStep(torch.nn.Identity(), Totals(TASK, torch.device("cpu"))), FailedCapture(*hidden))
    with pytest.raises(CaptureFailed) as caught:
        step(torch.zeros(1, 1, 1, 1), torch.zeros(1))
    return caught.value


@pytest.mark.parametrize("hidden", [(), (ValueError("of an own task"),)])
def test_a_capture_that_failed(hidden: tuple[Exception, ...]):
    error = failed_capture(*hidden)
    assert CAPTURING in str(error)
    said = advice(error)
    assert NO_GRAPHS in said
    assert SMALLER not in said
    assert advice(in_place_of(error, ValueError("other"))) == said


def test_memory_of_the_cpu_ran_out():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**58, dtype=torch.uint8)  # more than any address space
    assert advice(caught.value).startswith(SMALLER)
    assert advice(MemoryError()).startswith(SMALLER)


NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
]


@pytest.mark.parametrize("no_memory", NO_MEMORY)
@pytest.mark.parametrize("deeper", [False, True])
def test_memory_ran_out_while_capturing(no_memory: Exception, deeper: bool):
    """A recording ends with an error of its own, behind which the cause is hidden."""
    hidden = in_place_of(no_memory, RuntimeError("between"), deeper) if deeper else no_memory
    said = advice(failed_capture(hidden))
    assert said.startswith(SMALLER)
    assert NO_GRAPHS in said


@pytest.mark.parametrize("no_memory", NO_MEMORY)
def test_memory_ran_out(no_memory: Exception):
    said = advice(no_memory)
    assert said == f"{SMALLER}, or trainer.precision=bf16-mixed"
    assert advice(in_place_of(no_memory, RuntimeError("the step failed"), deeper=True)) == said


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk(number: int):
    """`torch.save` says something about positions in the file instead."""
    said = advice(in_place_of(OSError(number, "full", "/capture/last.ckpt"), RuntimeError("unexpected pos 64 vs 0")))
    assert said.startswith("free some disk space")


@pytest.mark.parametrize("error", [RuntimeError("out of luck"), OSError(errno.EIO, "broken")])
def test_of_anything_else_there_is_the_traceback(lab: Lab, error: Exception):
    assert advice(error) == ""
    with pytest.raises(RunFailed, match=r"; the traceback is in .*run\.log; run the same command again"):
        lab.run(callbacks=[FailsAt(0, error)])


class FailsToCapture(Callback):
    """As on a GPU, where there is too little memory to record a step."""

    def on_train_batch_start(self, *_: object) -> None:
        raise failed_capture(torch.OutOfMemoryError("CUDA out of memory"))


def test_a_run_ends_with_the_advice(lab: Lab):
    with pytest.raises(RunFailed, match=rf"has failed: CaptureFailed: .*{CAPTURING}; {SMALLER}, or {NO_GRAPHS}"):
        lab.run(callbacks=[FailsToCapture()])
