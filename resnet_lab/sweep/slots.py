"""Share GPUs and CPU threads between the jobs of a sweep."""

import os
from dataclasses import dataclass

import torch

from resnet_lab.config.checks import ConfigError
from resnet_lab.training.runtime import physical_cores


@dataclass(frozen=True, slots=True)
class Slot:
    """Resources of one job at a time."""

    gpu: str | None  # value for CUDA_VISIBLE_DEVICES, several with commas; None: CPU only
    num_threads: int


def share(jobs: int | None, jobs_per_gpu: int, use_gpus: bool, gpus_per_job: int = 1) -> list[Slot]:
    """Return a slot per concurrent job: `jobs_per_gpu` on each GPU, or one per core without GPUs; at most `jobs`.

    Jobs go to the GPUs in turn, so that every GPU gets a job before any gets a second one. With `gpus_per_job`, a group
    of GPUs takes the place of one. Raises ConfigError if there are fewer than a group.
    """
    cores, found = physical_cores(), visible_gpus() if use_gpus else []
    if len(found) < gpus_per_job > 1:
        raise ConfigError(f"hydra.launcher.gpus_per_job={gpus_per_job}, but this sweep may use {len(found)} GPUs")
    ends = range(gpus_per_job, len(found) + 1, gpus_per_job)
    groups: list[str | None] = [",".join(found[end - gpus_per_job : end]) for end in ends]
    places = groups * jobs_per_gpu or [None] * (jobs or cores)
    places = places[:jobs]
    return [Slot(gpu, max(1, cores // len(places))) for gpu in places]


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, by number or UUID, without creating a CUDA context."""
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    count = torch.cuda.device_count()
    return (named or [str(number) for number in range(count)])[:count]
