"""Share GPUs and CPU threads between the jobs of a sweep."""

import os
from dataclasses import dataclass

import torch

from resnet_lab.training.runtime import physical_cores


@dataclass(frozen=True, slots=True)
class Slot:
    """Resources of one job at a time."""

    gpu: str | None  # value for CUDA_VISIBLE_DEVICES; None: CPU only
    num_threads: int


def share(jobs: int | None, jobs_per_gpu: int, use_gpus: bool) -> list[Slot]:
    """Return a slot per concurrent job: `jobs_per_gpu` on each GPU, or one per core without GPUs; at most `jobs`.

    Jobs go to the GPUs in turn, so that every GPU gets a job before any gets a second one.
    """
    cores = physical_cores()
    gpus: list[str | None] = [*visible_gpus()] if use_gpus else []
    places = gpus * jobs_per_gpu or [None] * (jobs or cores)
    places = places[:jobs]
    return [Slot(gpu, max(1, cores // len(places))) for gpu in places]


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, by number or UUID, without creating a CUDA context."""
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    count = torch.cuda.device_count()
    return (named or [str(number) for number in range(count)])[:count]
