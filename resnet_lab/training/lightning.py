"""The edge to Lightning 2.6: every work-around around it, with the reason; `test_lightning.py` has a test for each.

- `OwnSignals`: Lightning would end a run at a SIGTERM that only announces something.
- `WholeCheckpointIO`: Lightning's atomic writes depend on where the system's temporary folder is.
- `EventLogger`: Lightning would begin a second event file for the test, and add a hparams.yaml.
- `count_step`: Lightning counts only the steps of its own wrapper of the optimiser.
- `make_trainer`: one process, also where SLURM's variables promise several; no validation where nothing is held out.

Four stand where they are needed, since Lightning asks for them there:

- `TrainLoader.sampler` is the loader itself: Lightning tells the epoch to a loader's sampler alone.
- `callbacks.Observer` is a `Checkpoint`: Lightning calls those last, in the order of the trainer's list.
- `interrupts.raise_on_signals` raises no KeyboardInterrupt, which Lightning would turn into exit status 1.
- `log.show_on_terminal` takes from Lightning's loggers the handlers that they come with.
"""

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.plugins.io import TorchCheckpointIO
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

from resnet_lab.config.schema import Config
from resnet_lab.rundir.files import write_whole
from resnet_lab.training.harmless import harmless
from resnet_lab.training.runtime import Runtime


def make_trainer(
    config: Config, runtime: Runtime, logger: "EventLogger", callbacks: Sequence[Callback], validates: bool
) -> Trainer:
    """A trainer of one process on one device, which stores, shows and checks nothing but what it is told to.

    Keeps its files beside those of `logger`; skips validation unless the run `validates`.
    """
    return Trainer(
        accelerator=runtime.accelerator,
        devices=1,
        precision=runtime.precision,  # type: ignore[arg-type]  # checked by TrainerConfig
        max_epochs=config.trainer.max_epochs,
        deterministic=config.deterministic,
        benchmark=not config.deterministic,
        limit_val_batches=1.0 if validates else 0,  # of no images there is one batch, an empty one
        logger=logger,
        callbacks=[*callbacks, OwnSignals()],
        plugins=[WholeCheckpointIO(), LightningEnvironment()],  # SLURM may have given the job several tasks
        default_root_dir=logger.save_dir,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def count_step(trainer: Trainer) -> None:
    """Count a step that the module's own optimiser took.

    Only steps of Lightning's wrapper of the optimiser move `global_step`, and a replayed step does not pass it.
    """
    taken = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    taken.increment_ready()
    taken.increment_completed()


class OwnSignals(Callback):
    """Gives SIGTERM back to whoever had it before the trainer was made.

    Lightning would end at SIGTERM, even where it only announces that SLURM takes the node back, and the job is to wait
    until it is queued again.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Lightning has set its own just before."""
        if signal.getsignal(signal.SIGTERM) is not self.handler and self.handler is not None:
            signal.signal(signal.SIGTERM, self.handler)


class WholeCheckpointIO(TorchCheckpointIO):
    """Lightning's own goes through the system's temporary folder, and is not atomic when that is another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write beside, sync, rename. Raises OSError when the disk is full; the checkpoint before it stays."""
        write_whole(Path(path), lambda file: torch.save(checkpoint, file))


class EventLogger(TensorBoardLogger):
    """Writes one event file straight into the run directory, from the first epoch to the test.

    Curves are to look at: where the file cannot be written, the run goes on without them.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, name="", version="", default_hp_metric=False)

    @harmless
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Scalars. Lightning's own would take a full disk for a number of the wrong kind."""
        for tag, value in metrics.items():
            self.experiment.add_scalar(tag, value, step)

    @harmless
    def save(self) -> None:
        """Flush. Lightning's own would add a hparams.yaml, which config.yaml already is."""
        self.experiment.flush()

    def finalize(self, status: str) -> None:
        """Flush. Lightning's own would close the file after training, and the test would open a second one."""
        self.save()

    @harmless
    def close(self) -> None:
        self.experiment.close()

    @harmless
    def take_over(self, last_step: int) -> None:
        """Copy what former event files recorded up to `last_step` into this run's new one, and remove those.

        What came after the checkpoint that a run continues from will be recorded again, and so will the test; with
        `last_step` -1, for a run that begins anew, nothing is kept.
        """
        former = sorted(Path(self.log_dir).glob("events.out.tfevents.*"))
        file_writer: Any = self.experiment._get_file_writer()
        copied: set[tuple[int, str]] = set()  # a process that was killed while it copied left the same twice
        for file in former:
            for event in LegacyEventFileLoader(str(file)).Load():  # as written, not translated to tensors
                tags = {(event.step, value.tag) for value in event.summary.value}
                tested = any(tag.startswith("test/") for _, tag in tags)
                if tags - copied and event.step <= last_step and not tested:
                    file_writer.event_writer.add_event(event)
                    copied |= tags
        self.experiment.flush()
        for file in former:
            file.unlink()
