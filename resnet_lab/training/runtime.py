"""Where and how a run computes: what `auto` means on this machine, and why."""

import ctypes
import math
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import psutil
import torch
from joblib import cpu_count

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Accelerator, Compile, Kernels, Recompute
from resnet_lab.config.schema import Config
from resnet_lab.config.trainer import TrainerConfig
from resnet_lab.data.file_rows import cache_folder
from resnet_lab.kernels.choice import choose
from resnet_lab.text import plural

# Below this number of MACs per forward pass, a second thread gains little on an idle machine; while another process is
# running, waiting for that thread costs far more than the work that it takes over.
SMALL_MACS = 1_000_000_000

MAX_THREADS_PER_CORE = 8  # with very many threads, OpenMP ends the process

# Lightning takes about 1 ms per call. In a call of about 0.1 s, that is 1 % or less. On a CPU, a call has CALL_MACS in
# its forward passes, and three times as many with the backward passes; a thread computes about 10^10 MACs per second.
# On a GPU, a call has CALL_STEPS_ON_GPU steps.
CALL_MACS = 500_000_000
CALL_STEPS_ON_GPU = 128
CALL_BYTES = 2**28  # maximum per call, of images as float32

# Parameters of glibc's malloc (malloc.h). By default, it returns every freed block above 32 MB to the system and gets
# new zeroed pages in the next step: for large activations, this takes as long as computing them.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class Runtime:
    """The device and how it computes. What the settings of `trainer` leave open is chosen here."""

    accelerator: str  # cpu or gpu
    precision: str  # tf32, or one of Lightning's
    deterministic: bool
    graphs: bool  # replay steps as CUDA graphs
    compiles: bool  # by inductor
    kernels: bool  # own ones in training, instead of torch's
    recomputes: Recompute  # what computes its feature maps again
    devices: int  # processes that train together, one on each
    steps_per_call: int  # mini-batches per call by Lightning
    num_threads: int  # of the CPU
    reasons: str  # the choices, with reasons for those that no setting forced

    @classmethod
    def resolve(cls, config: Config, macs: int) -> Self:
        """Resolve the settings on this machine, for a network of `macs` MACs per image.

        Raises ConfigError when the machine cannot do what a setting asks, or when torchrun should not have been used.
        """
        trainer = config.trainer
        if trainer.devices == 1 and (size := os.environ.get("WORLD_SIZE", "1")) != "1":
            raise ConfigError(
                f"this is one of {size} processes, for one device: start it without torchrun, or train with "
                f"trainer.devices={size}"
            )
        has_gpu = torch.cuda.is_available()
        needs_gpu = {"accelerator=gpu": trainer.accelerator is Accelerator.gpu, "graphs=true": trainer.graphs}
        for name, asked in needs_gpu.items():
            if asked and not has_gpu:
                why = "torch finds no CUDA GPU here, and no other accelerator is supported"
                raise ConfigError(f"trainer.{name}: {why}; use trainer=auto or trainer=cpu")
        if trainer.graphs and trainer.accelerator is Accelerator.cpu:
            raise ConfigError("trainer.graphs=true: CUDA graphs need a GPU; use trainer=auto or trainer.graphs=false")
        cores = os.cpu_count() or 1
        if (trainer.num_threads or 1) > MAX_THREADS_PER_CORE * cores:
            most = f"use at most {MAX_THREADS_PER_CORE * cores}"
            raise ConfigError(f"trainer.num_threads={trainer.num_threads}: this machine has {cores} cores; {most}")
        on_gpu = {Accelerator.auto: has_gpu, Accelerator.gpu: True, Accelerator.cpu: False}[trainer.accelerator]
        batch_macs = macs * config.optim.batch_size
        precision, precision_why = _precision(trainer.precision, on_gpu)
        recomputes, devices = trainer.checkpoint_activations, trainer.devices
        graphs, graphs_why = _graphs(trainer, on_gpu, precision)
        steps, steps_why = _steps_per_call(config, on_gpu, batch_macs)
        threads, threads_why = _threads(trainer.num_threads, on_gpu, batch_macs, devices)
        layout = "channels-last" if trainer.channels_last else "channels-first"
        compiles = trainer.compile is Compile.inductor
        kernels, kernels_why = choose(config, on_gpu, precision, batch_macs)
        compiled = "compiled by inductor" if compiles else "not compiled"
        whose = "all" if trainer.sync_batch_norm else "each"
        together = "" if devices == 1 else f"{devices} processes, BatchNorm over the images of {whose}"
        again = "" if recomputes is Recompute.none else f"{recomputes.value} computed again in the backward pass"
        reasons = (together, precision_why, kernels_why, layout, graphs_why, compiled, again, steps_why, threads_why)
        return cls(
            accelerator="gpu" if on_gpu else "cpu",
            precision=precision,
            deterministic=config.deterministic,
            graphs=graphs,
            compiles=compiles,
            kernels=kernels,
            recomputes=recomputes,
            devices=devices,
            steps_per_call=steps,
            num_threads=threads,
            reasons=", ".join(filter(None, reasons)),
        )

    @classmethod
    def here(cls, config: Config, macs: int) -> Self:
        """Resolve how this machine computes with a stored network, wherever and however it was trained."""
        here = replace(
            config.trainer,
            accelerator=Accelerator.auto,
            precision="auto",
            graphs=None,
            kernels=Kernels.torch,
            num_threads=None,
            devices=1,
        )
        return cls.resolve(replace(config, trainer=here), macs)

    @property
    def backend(self) -> str:
        """What torch.distributed sends tensors with."""
        return "nccl" if self.accelerator == "gpu" else "gloo"

    @property
    def storage(self) -> str:
        """Lightning's precision: TF32 is a way to multiply, and stores the same 32 bits."""
        return "32-true" if self.precision == "tf32" else self.precision

    @property
    def name(self) -> str:
        """The model of the GPU or of the CPU."""
        if self.accelerator == "gpu":
            return torch.cuda.get_device_name()
        cpuinfo = Path("/proc/cpuinfo")
        lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        return models[0] if models else platform.machine()

    def peak_memory(self) -> int:
        """Return the peak memory in bytes: of tensors on the GPU, or of the process on the CPU."""
        if self.accelerator == "gpu":
            return torch.cuda.max_memory_allocated()
        try:
            import resource
        except ModuleNotFoundError:  # on Windows
            return psutil.Process().memory_info().peak_wset
        unit = 1 if platform.system() == "Darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    def reserved_memory(self) -> int | None:
        """Return the peak memory in bytes that torch reserved on the GPU, for tensors now or later; None on the CPU."""
        return torch.cuda.max_memory_reserved() if self.accelerator == "gpu" else None

    @contextmanager
    def set_up(self) -> Iterator[None]:
        """Set algorithms, threads and allocator, and reset the peak memory of a GPU.

        Algorithms and the number of threads are restored at the end.
        """
        if self.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS requires it
        if self.compiles:  # torch's default is a folder that other users can write to
            os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "inductor"))
        before = torch.get_num_threads()
        torch.set_num_threads(self.num_threads)
        if self.accelerator == "gpu":
            torch.cuda.reset_peak_memory_stats()
        elif platform.libc_ver()[0] == "glibc":
            libc = ctypes.CDLL(None)
            libc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
            libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        try:
            with _algorithms(self.precision == "tf32", self.deterministic):
                yield
        finally:
            torch.set_num_threads(before)


@contextmanager
def _algorithms(tf32: bool, deterministic: bool) -> Iterator[None]:
    """Use TF32 or not (torch uses it for convolutions by default), and repeatable algorithms or the fastest."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, torch.are_deterministic_algorithms_enabled()
    matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = tf32, tf32, not deterministic
    torch.use_deterministic_algorithms(deterministic)
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, was_deterministic = before
        torch.use_deterministic_algorithms(was_deterministic)


def _precision(asked: str, on_gpu: bool) -> tuple[str, str]:
    if asked == "tf32" and not (on_gpu and torch.cuda.get_device_capability() >= (8, 0)):
        raise ConfigError("trainer.precision=tf32 needs an NVIDIA GPU of the Ampere or a later series; use 32-true")
    if asked != "auto":
        return asked, asked
    if on_gpu and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16-mixed", "bf16-mixed (the GPU supports it)"
    return "32-true", f"32-true ({'no bf16 on this GPU' if on_gpu else 'bf16 is for GPUs'})"


def _graphs(trainer: TrainerConfig, on_gpu: bool, precision: str) -> tuple[bool, str]:
    asked, is_double = trainer.graphs, precision == "64-true"
    keeps_all, is_alone = trainer.checkpoint_activations is Recompute.none, trainer.devices == 1
    if asked and not is_alone:
        raise ConfigError("trainer.graphs=true needs trainer.devices=1: what processes send each other is not recorded")
    if asked and not keeps_all:
        setting = f"trainer.checkpoint_activations={trainer.checkpoint_activations.name}"
        raise ConfigError(
            f"trainer.graphs=true: a graph cannot repeat the random numbers of {setting}; use trainer.graphs=false"
        )
    if asked and is_double:
        why = "torch's optimisers read the learning rate of a recorded step as float32"
        raise ConfigError(f"trainer.graphs=true: {why}, and trainer.precision is 64-true; use trainer.graphs=false")
    if asked is not None:
        return asked, "steps replayed as CUDA graphs" if asked else "eager steps"
    if not on_gpu:
        return False, "eager steps (CUDA graphs need a GPU)"
    if is_double:
        return False, "eager steps (a recorded step reads the learning rate as float32)"
    if not is_alone:
        return False, "eager steps (messages between processes are not recorded)"
    if not keeps_all:
        return False, "eager steps (a graph cannot repeat random numbers)"
    return True, "steps replayed as CUDA graphs (launching kernels one by one is slower)"


def _steps_per_call(config: Config, on_gpu: bool, batch_macs: int) -> tuple[int, str]:
    if asked := config.trainer.steps_per_call:
        return asked, f"{plural(asked, 'mini-batch', 'mini-batches')} per call"
    wanted = CALL_STEPS_ON_GPU if on_gpu else math.ceil(CALL_MACS / max(1, batch_macs))
    batch_bytes = 4 * math.prod(config.data.image_shape) * config.optim.batch_size
    steps = max(1, min(wanted, CALL_BYTES // batch_bytes))
    return steps, f"{plural(steps, 'mini-batch', 'mini-batches')} per call (keeps Lightning's overhead small)"


def physical_cores() -> int:
    """Return the number of cores that this process may use (affinity, control group), without hyper-threads."""
    return int(cpu_count(only_physical_cores=True))


def _threads(asked: int | None, on_gpu: bool, batch_macs: int, devices: int) -> tuple[int, str]:
    available = min(torch.get_num_threads(), physical_cores())  # in a job of a sweep, torch starts with its share
    available = max(1, available // devices)
    if on_gpu:
        return asked or available, ""
    if asked:
        return asked, plural(asked, "thread")
    if batch_macs < SMALL_MACS:
        return 1, "1 thread (the network is small)"
    shared = "" if devices == 1 else f", shared by {devices}"
    return available, f"{plural(available, 'thread')} (the cores that this process may use{shared})"
