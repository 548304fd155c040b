"""Advice for the user when a run has failed."""

import errno
import re
from pathlib import Path

import torch

from resnet_lab.interrupts import causes

CAPTURING = re.compile(r"\bcaptur(e|ing)\b")  # "… when stream is capturing", "… a previous error during capture"
NO_MEMORY = "can't allocate memory"  # torch's allocator of the CPU raises a RuntimeError
DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def advice(error: Exception, log_file: Path) -> str:
    """Return what helps against an error or any error that it hides; if nothing is known, the place of the traceback.

    A failed capture of a CUDA graph raises an error of its own, which hides the cause.
    """
    chain = list(causes(error))
    captures = any(isinstance(each, RuntimeError) and CAPTURING.search(str(each)) for each in chain)
    if any(isinstance(each, torch.OutOfMemoryError | MemoryError) or NO_MEMORY in str(each) for each in chain):
        other = "trainer.graphs=false (graphs need extra memory)" if captures else "trainer.precision=bf16-mixed"
        return f"use a smaller optim.batch_size, or {other}"
    if any(isinstance(each, OSError) and each.errno in DISK_IS_FULL for each in chain):
        return "free some disk space and run the same command again: it continues after the last full epoch"
    if captures:
        return "use trainer.graphs=false: the steps could not be recorded as a CUDA graph"
    return f"the traceback is in {log_file}; run the same command again to continue after the last full epoch"
