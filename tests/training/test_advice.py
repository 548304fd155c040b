"""What is said of a failure follows from what caused it, however deep that is hidden."""

import errno
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Callback
from support.graphs import EmulatedCapture
from support.lab import Lab

from resnet_lab.interrupts import RunFailed
from resnet_lab.training.advice import advice
from resnet_lab.training.graphs import WARM_UP, CaptureFailed, GraphedStep

CAPTURING = "CUDA error: operation failed due to a previous error during capture"  # with which CUDA ends a recording
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


def failed_capture(*hidden: Exception) -> Exception:
    """The error of a step whose recording failed with these errors, each behind the next one."""

    def record(*_: object) -> None:
        *earlier, last = [*hidden, RuntimeError(CAPTURING)]
        raise in_place_of(earlier[0], last) if earlier else last

    recorder = EmulatedCapture()
    recorder.record = record  # type: ignore[assignment]
    step = GraphedStep(lambda *_: None, recorder)  # type: ignore[arg-type]
    images, labels = torch.zeros(1, 1, 1, 1), torch.zeros(1)
    for _ in range(WARM_UP):
        step(images, labels)
    with pytest.raises(CaptureFailed) as caught:
        step(images, labels)
    return caught.value


@pytest.mark.parametrize("hidden", [(), (ValueError("of an own task"),)])
def test_a_capture_that_failed(hidden: tuple[Exception, ...]):
    error = failed_capture(*hidden)
    assert CAPTURING in str(error)
    said = advised(error)
    assert NO_GRAPHS in said
    assert SMALLER not in said
    assert advised(in_place_of(error, ValueError("other"))) == said


def test_memory_of_the_cpu_ran_out():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**58, dtype=torch.uint8)  # more than any address space
    assert advised(caught.value).startswith(SMALLER)
    assert advised(MemoryError()).startswith(SMALLER)


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
    said = advised(failed_capture(hidden))
    assert said.startswith(SMALLER)
    assert NO_GRAPHS in said


@pytest.mark.parametrize("no_memory", NO_MEMORY)
def test_memory_ran_out(no_memory: Exception):
    said = advised(no_memory)
    assert said == f"{SMALLER}, or trainer.precision=bf16-mixed"
    assert advised(in_place_of(no_memory, RuntimeError("the step failed"), deeper=True)) == said


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk(number: int):
    """`torch.save` says something about positions in the file instead."""
    said = advised(in_place_of(OSError(number, "full", "/capture/last.ckpt"), RuntimeError("unexpected pos 64 vs 0")))
    assert said.startswith("free some disk space")


@pytest.mark.parametrize("error", [RuntimeError("out of luck"), OSError(errno.EIO, "broken")])
def test_of_anything_else_there_is_the_traceback(error: Exception):
    assert advised(error).startswith("the traceback is in run.log; ")


class FailsToCapture(Callback):
    """As on a GPU, where there is too little memory to record a step."""

    def on_train_batch_start(self, *_: object) -> None:
        raise failed_capture(torch.OutOfMemoryError("CUDA out of memory"))


def test_a_run_ends_with_the_advised(lab: Lab):
    with pytest.raises(RunFailed, match=rf"has failed: CaptureFailed: .*{CAPTURING}; {SMALLER}, or {NO_GRAPHS}"):
        lab.run(callbacks=[FailsToCapture()])
