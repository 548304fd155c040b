"""The interface to Lightning 2.6: workarounds, each with its reason and a test in `test_lightning.py`.

Four more are in the modules where Lightning needs them:

- `TrainLoader.sampler` is the loader itself: Lightning passes the epoch only to a loader's sampler.
- `callbacks.Observer` is a `Checkpoint`: Lightning calls those last, in the order of the trainer's list.
- `interrupts.raise_on_signals` prevents KeyboardInterrupt, which Lightning would turn into exit status 1.
- `log.show_on_terminal` removes the default handlers of Lightning's loggers.
"""

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pytorch_lightning import Callback, LightningDataModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.plugins.io import TorchCheckpointIO
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

from resnet_lab.config.schema import Config
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.loader import EvalLoader, TrainLoader
from resnet_lab.data.stores import store_of
from resnet_lab.training.harmless import harmless
from resnet_lab.training.ranks import ALONE, Ranks
from resnet_lab.training.runtime import Runtime

PORTS = range(15000, 25000)  # for the processes of a job step

# How the tags begin that a run which continues writes again: the dashboard's, as it starts, and those of the test.
AGAIN = ("config/", "_hparams_/", "custom_scalars__config__", "test/")


def make_trainer(
    config: Config,
    runtime: Runtime,
    logger: "EventLogger | None",
    callbacks: Sequence[Callback],
    validates: bool,
    ranks: Ranks = ALONE,
) -> Trainer:
    """Return a trainer for one process on one device, without Lightning's default output and checks.

    Its files go next to those of `logger`; it skips validation unless the run `validates`. Lightning knows nothing of
    other `ranks`.
    """
    return Trainer(
        accelerator=runtime.accelerator,
        devices=[ranks.gpu] if runtime.accelerator == "gpu" else 1,
        precision=runtime.storage,  # type: ignore[arg-type]  # checked by TrainerConfig
        max_epochs=config.trainer.max_epochs,
        limit_val_batches=1.0 if validates else 0,  # without images, the loader has one empty batch
        logger=logger or False,
        callbacks=[*callbacks, KeepSigtermHandler()],
        plugins=[SnapshotIO(), LightningEnvironment()],  # SLURM may have given the job several tasks
        default_root_dir=logger.save_dir if logger else None,
        enable_checkpointing=bool(logger),
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def address_of_slurm() -> dict[str, str]:
    """Return where the first of a job step's processes is, under the names that torch reads, unless they are set.

    The port follows from the numbers of job and step, so that all processes find the same one.
    """
    given = os.environ
    nodes = given.get("SLURM_STEP_NODELIST") or given.get("SLURM_JOB_NODELIST", "127.0.0.1")
    port = PORTS[(int(given.get("SLURM_JOB_ID", 0)) + int(given.get("SLURM_STEP_ID", 0))) % len(PORTS)]
    found = {"MASTER_ADDR": SLURMEnvironment.resolve_root_node_address(nodes), "MASTER_PORT": str(port)}
    return {name: given.get(name, value) for name, value in found.items()}


def count_step(trainer: Trainer) -> None:
    """Count a step taken by the module's own optimiser.

    Only steps of Lightning's optimiser wrapper increment `global_step`, and a replayed step bypasses it.
    """
    taken = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    taken.increment_ready()
    taken.increment_completed()


class LoadedImages(ImageData, LightningDataModule):
    """Images that are moved to the trainer's device in `setup`, and their loaders.

    They are apart from `ImageData`, so that commands which do not train need not wait for Lightning's imports.
    """

    def __init__(self, config: Config, steps_per_call: int = 1, ranks: Ranks = ALONE) -> None:
        LightningDataModule.__init__(self)
        ImageData.__init__(self, config, steps_per_call)
        self.ranks = ranks

    def setup(self, stage: str) -> None:
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        part = self.source.test if stage == "test" else self.source.train
        self.images = store_of(part, self.config.data, device, num_processes=self.ranks.size)

    def teardown(self, stage: str) -> None:
        del self.images

    def train_dataloader(self) -> TrainLoader:
        fixed = self.normalise, self.config, self.steps_per_call
        return TrainLoader(self.images, self.train_rows, *fixed, self.ranks.part)

    def val_dataloader(self) -> EvalLoader:
        return EvalLoader(self.images, self.validation_rows, self.normalise, self.config, self.ranks.part)

    def test_dataloader(self) -> list[EvalLoader]:
        """Return the test images and, if predictions are stored, the validation images, which stay on the host."""
        parts = [(self.images, self.test_rows)]
        if self.config.trainer.predictions_mb and len(self.validation_rows):
            images = store_of(self.source.train, self.config.data, self.images.device, on_host=True)
            parts.append((images, self.validation_rows))
        return [EvalLoader(*part, self.normalise, self.config) for part in parts]


class KeepSigtermHandler(Callback):
    """Restore the SIGTERM handler that was installed before the trainer was created.

    Lightning's handler would end the run. But SLURM also sends SIGTERM to announce that it will preempt a job, which
    should then wait to be requeued.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Lightning has just installed its own handler."""
        if signal.getsignal(signal.SIGTERM) is not self.handler and self.handler is not None:
            signal.signal(signal.SIGTERM, self.handler)


class SnapshotIO(TorchCheckpointIO):
    """Keep the checkpoint instead of writing it.

    Lightning would write while training waits, and not atomically if the system's temporary folder is on another disk.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        self.checkpoint = checkpoint


def take_snapshot(trainer: Trainer) -> dict[str, Any]:
    """Return what Lightning would store in a checkpoint; its tensors are those in use."""
    checkpoint_io = trainer.strategy.checkpoint_io
    assert isinstance(checkpoint_io, SnapshotIO)
    trainer.save_checkpoint("", weights_only=False)
    return checkpoint_io.checkpoint


# TensorBoard sorts groups of charts by name and opens the first ones: the error, the loss, the learning rate.
GROUPS = {"gradient": "network gradient", "share": "network share", "inside": "pictures"}
PICTURES = ("augmented training images", "first-layer filters")
SPEEDS = ("images_per_second", "seconds")


def tag(name: str) -> str:
    """Return the tag of a number of a run: the group of charts first, as in `error/val` for `val/error`.

    Tags of former versions are such names, and tags remain as they are.
    """
    group, slash, what = name.partition("/")
    if group in ("train", "val"):
        return f"{what}/{group}"
    if name in SPEEDS:
        return f"speed/{name}"
    return f"pictures/{name}" if group in PICTURES else f"{GROUPS.get(group, group)}{slash}{what}"


class EventLogger(TensorBoardLogger):
    """Write one event file directly into the run directory, from the first epoch to the test.

    Curves are optional: if the file cannot be written, the run continues without them.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, name="", version="", default_hp_metric=False)

    @harmless
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write scalars. Lightning's version would report a full disk as a value of the wrong type."""
        for name, value in metrics.items():
            self.experiment.add_scalar(tag(name), value, step)

    @harmless
    def save(self) -> None:
        """Flush. Lightning's version would add a hparams.yaml, which would duplicate config.yaml."""
        self.experiment.flush()

    def finalize(self, status: str) -> None:
        """Flush. Lightning's version would close the file after training, and the test would open a second one."""
        self.save()

    @harmless
    def close(self) -> None:
        self.experiment.close()

    @harmless
    def take_over(self, last_step: int, shorter: Path | None = None) -> None:
        """Copy the events up to `last_step` from earlier event files into this run's new one, and remove the old files.

        Events after the checkpoint that a run continues from will be recorded again, and so will the test. A run that
        starts from scratch passes -1 for `last_step` and keeps nothing. `shorter` is the directory of the shorter run
        with which this one began: its files stay.
        """
        old_files = _event_files(Path(self.log_dir))
        others = _event_files(shorter) if shorter else []
        file_writer: Any = self.experiment._get_file_writer()
        copied: set[tuple[int, str]] = set()  # a process that was killed while copying leaves duplicates
        for file in [*old_files, *others]:
            for event in LegacyEventFileLoader(str(file)).Load():  # EventFileLoader would convert scalars to tensors
                for value in event.summary.value:
                    value.tag = tag(value.tag)
                tags = {(event.step, value.tag) for value in event.summary.value}
                is_wanted = not any(name.startswith(AGAIN) for _, name in tags)
                if tags - copied and event.step <= last_step and is_wanted:
                    file_writer.event_writer.add_event(event)
                    copied |= tags
        self.experiment.flush()
        for file in old_files:
            file.unlink()


def _event_files(folder: Path) -> list[Path]:
    found = folder.glob("events.out.tfevents.*")
    return sorted(file for file in found if file.is_file())  # reading a pipe may never end
