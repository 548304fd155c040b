"""How long a run trains, on what device, and how it computes there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resnet_lab.config.checks import require, require_bounded, require_within
from resnet_lab.config.enums import Accelerator, Compile, EpochLog, Kernels, Recompute
from resnet_lab.config.fields import setting
from resnet_lab.text import plural

# Lightning's names and their short forms, and tf32: 32-true with products of 10-bit mantissas, on a GPU.
PRECISIONS = {
    "auto": "auto",
    "32": "32-true",
    "32-true": "32-true",
    "tf32": "tf32",
    "bf16": "bf16-mixed",
    "bf16-mixed": "bf16-mixed",
    "64": "64-true",
    "64-true": "64-true",
}


@dataclass(slots=True, kw_only=True)
class TrainerConfig:
    """Training length, device and precision."""

    max_epochs: int
    accelerator: Accelerator = setting(Accelerator.auto, identity=False)
    precision: str = "auto"  # auto: bf16-mixed on a GPU that supports it, else 32-true
    devices: int = setting(1, identity=False)  # that train one network together, each on its part of a mini-batch
    # Whether BatchNorm normalises over the images of all devices, or those of each: then, their number matters.
    sync_batch_norm: bool = setting(True, canonical=lambda trainer: trainer.synchronises or trainer.devices)
    graphs: bool | None = setting(None, identity=False)  # replay steps as CUDA graphs; None: on GPUs only
    compile: Compile = setting(Compile.off, identity=False)
    kernels: Kernels = setting(Kernels.auto, identity=False)  # of convolutions and BatchNorm in training on a CPU
    # Activation checkpointing: less memory for one more forward pass, and the same numbers.
    checkpoint_activations: Recompute = setting(Recompute.none, identity=False)
    channels_last: bool = setting(True, identity=False)
    # Mini-batches per call by Lightning. None: about 0.1 s of training on a CPU, 128 on a GPU, fewer of large images.
    steps_per_call: int | None = setting(None, identity=False)
    max_batches: int | None = None  # per epoch; None: all
    # A number of the history, the lowest of which marks the best epoch, such as train/loss. None: the validation score.
    best_by: str | None = None
    patience: int | None = None  # epochs without a lower validation score after which a run ends; None: never
    max_time: float | None = setting(None, identity=False)  # minutes, after which a run stops to be continued
    eval_batch_size: int = setting(1000, identity=False)
    predictions_mb: float = setting(32.0, identity=False)  # most that predictions.npz may take; 0: it is not written
    num_threads: int | None = setting(None, identity=False)  # None: one for small networks, else all cores
    log: EpochLog = setting(EpochLog.auto, identity=False)  # what is shown while training

    def __post_init__(self) -> None:
        require_bounded(self, "trainer.")
        require_within(self, "trainer", max_epochs=(1, 10**6), max_batches=(1, 10**9), steps_per_call=(1, 10**6))
        require_within(self, "trainer", eval_batch_size=(1, 10**6), num_threads=(1, 4096), patience=(1, 10**6))
        require_within(self, "trainer", predictions_mb=(0, 1000), devices=(1, 64))
        require(
            self.max_time is None or 0 < self.max_time <= 10**9,
            f"trainer.max_time must be a number of minutes above 0, got {self.max_time}",
        )
        require(
            self.precision in PRECISIONS,
            f"trainer.precision must be one of {', '.join(PRECISIONS)}, got {self.precision}",
        )
        self.precision = PRECISIONS[self.precision]
        require(
            self.checkpoint_activations is Recompute.none or self.compile is Compile.off,
            f"trainer.checkpoint_activations={self.checkpoint_activations.name} needs trainer.compile=off: a compiler "
            "chooses itself what it keeps",
        )
        require(
            self.devices == 1 or self.compile is Compile.off,
            f"trainer.devices={self.devices} needs trainer.compile=off: a compiler cannot see what the processes send "
            "each other",
        )

    @property
    def synchronises(self) -> bool:
        """Whether BatchNorm normalises over the whole mini-batch, as on one device."""
        return self.sync_batch_norm or self.devices == 1

    def refuse_several_devices(self, verb: str) -> None:
        """Raise ConfigError, for a command that computes on one device, if there should be several."""
        require(self.devices == 1, f"trainer.devices={self.devices}: {verb} uses one device; leave this setting off")

    def refuse_devices_of_others(self, launcher: Mapping[str, Any]) -> None:
        """Raise ConfigError if a job of a sweep would use more devices than its launcher gives it."""
        name = "gpus_per_node" if "gpus_per_node" in launcher else "gpus_per_job"  # on a cluster, or on this machine
        own = launcher.get(name) or 1
        require(
            self.devices <= own,
            f"trainer.devices={self.devices}, but each job of this sweep has {plural(own, 'device')}: on GPUs, set "
            f"hydra.launcher.{name}={self.devices}; on the CPU, train without -m",
        )
