"""Advice for the user when a run has failed."""

import errno
import re
from concurrent.futures.process import BrokenProcessPool

import torch

from resnet_lab.interrupts import causes
from resnet_lab.training.graphs import CaptureFailed

# What torch raises as a RuntimeError when its allocator of the CPU, CUDA itself, cuBLAS or cuDNN finds no memory.
NO_MEMORY = re.compile(r"can't allocate memory|CUDA error: out of memory|STATUS_ALLOC_FAILED")
DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def advice(error: Exception) -> str:
    """Return what helps against an error, or against any error that it hides; empty if nothing is known."""
    chain = list(causes(error))
    captures = any(isinstance(each, CaptureFailed) for each in chain)
    if any(isinstance(each, torch.OutOfMemoryError | MemoryError) or NO_MEMORY.search(str(each)) for each in chain):
        other = "trainer.graphs=false (graphs need extra memory)" if captures else "trainer.precision=bf16-mixed"
        return f"use a smaller optim.batch_size, or {other}"
    if any(isinstance(each, OSError) and each.errno in DISK_IS_FULL for each in chain):
        return "free some disk space and run the same command again: it continues after the last full epoch"
    if any(isinstance(each, BrokenProcessPool) for each in chain):
        return "a process that decodes images was killed, perhaps for lack of memory: set fewer data.workers"
    if captures:
        return "use trainer.graphs=false: the steps could not be recorded as a CUDA graph"
    return ""
