"""Where a run computes, and how: what `auto` means here."""

from __future__ import annotations

import os
import platform
import resource
from dataclasses import dataclass
from pathlib import Path

import torch

from resnet_lab.choices import Accelerator
from resnet_lab.config import ConfigError, TrainerConfig

# Below so many MACs a forward pass a second thread brings little when the machine is idle, and beside another process
# each wait for it costs far more than the work that it shares.
SMALL_MACS = 1_000_000_000
STEPS_PER_CALL_ON_GPU = 32  # Lightning's work of about 1 ms a call then is a small share of small networks' steps
ALL_THREADS = torch.get_num_threads()  # as the process began, before a run chose its own


@dataclass(frozen=True, slots=True)
class Machine:
    """The device, the precision, the number of mini-batches for each call by Lightning, and the CPU threads."""

    accelerator: str  # cpu or gpu
    precision: str
    steps_per_call: int
    num_threads: int

    @classmethod
    def choose(cls, trainer: TrainerConfig, macs: int) -> Machine:
        """What the settings mean on this machine, for a network of `macs` MACs for each forward pass of a mini-batch.

        Raises ConfigError when a GPU is asked for and there is none, and when this is one process of several.
        """
        if (processes := os.environ.get("WORLD_SIZE", "1")) != "1":
            raise ConfigError(f"a run is one process, but this is one of {processes} (ddp): start it without torchrun")
        has_gpu = torch.cuda.is_available()
        if trainer.accelerator is Accelerator.gpu and not has_gpu:
            raise ConfigError("trainer.accelerator=gpu: torch finds no GPU here; use trainer=auto or trainer=cpu")
        on_gpu = has_gpu and trainer.accelerator is not Accelerator.cpu
        precision = trainer.precision
        if precision == "auto":
            precision = "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"
        steps = trainer.steps_per_call or (STEPS_PER_CALL_ON_GPU if on_gpu else 1)
        threads = trainer.num_threads or (1 if macs < SMALL_MACS and not on_gpu else ALL_THREADS)
        return cls("gpu" if on_gpu else "cpu", precision, steps, threads)

    @property
    def name(self) -> str:
        """The name of the processor."""
        if self.accelerator == "gpu":
            return torch.cuda.get_device_name()
        cpuinfo = Path("/proc/cpuinfo")
        lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        return models[0] if models else platform.machine()

    def peak_memory(self) -> int:
        """Largest memory so far in bytes: what the GPU's allocator held, or the process on the CPU."""
        if self.accelerator == "gpu":
            return torch.cuda.max_memory_allocated()
        unit = 1 if platform.system() == "Darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
