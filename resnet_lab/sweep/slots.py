"""What the jobs of a sweep share: GPUs and CPU threads."""

import os
from dataclasses import dataclass

import torch

from resnet_lab.training.runtime import physical_cores


@dataclass(frozen=True, slots=True)
class Slot:
    """The share of one job at a time."""

    gpu: str | None  # as CUDA_VISIBLE_DEVICES names it; None: the CPU alone
    num_threads: int


def share(jobs: int | None, jobs_per_gpu: int, use_gpus: bool) -> list[Slot]:
    """A slot for every job at once: `jobs_per_gpu` on each GPU, or without GPUs one for each core; at most `jobs`.

    The next GPU takes the next job, so that all are used before any is used twice.
    """
    cores = physical_cores()
    gpus: list[str | None] = [*visible_gpus()] if use_gpus else []
    places = gpus * jobs_per_gpu or [None] * (jobs or cores)
    places = places[:jobs]
    return [Slot(gpu, max(1, cores // len(places))) for gpu in places]


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, by number or UUID; makes no CUDA context."""
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    count = torch.cuda.device_count()
    return (named or [str(number) for number in range(count)])[:count]
