"""Every work-around around Lightning: what Lightning does alone, and what happens with it.

Where the former is right one day, the work-around can go.
"""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.demos.boring_classes import BoringModel
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.plugins.io import TorchCheckpointIO
from support.lab import Lab, events, scalars
from torch import Tensor

from resnet_lab.interrupts import Interrupted
from resnet_lab.training.lightning import EventLogger, count_step, make_trainer, take_snapshot
from resnet_lab.training.runtime import Runtime

STEPS = 4


def trainer_of(lab: Lab, *callbacks: Callback, epochs: int = 1) -> Trainer:
    """The trainer of a run, with as many batches of a boring model an epoch as there are STEPS."""
    config = lab.config(f"trainer.max_epochs={epochs}", "deterministic=false")
    lab.output_dir.mkdir()
    runtime, logger = Runtime.resolve(config, macs=1), EventLogger(lab.output_dir)
    trainer = make_trainer(config, runtime, logger, [*callbacks, Checkpoint()], validates=False)
    trainer.limit_train_batches = STEPS
    return trainer


def lightning_alone(folder: Path, *callbacks: Callback, logger: TensorBoardLogger | None = None) -> Trainer:
    """A trainer as Lightning makes it."""
    return Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        callbacks=list(callbacks),
        default_root_dir=folder,
        limit_train_batches=STEPS,
        limit_val_batches=0,
        logger=logger or False,
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


# --- signals


class WhoHasSigterm(Callback):
    """Notes the handler of SIGTERM in mid-training."""

    def on_train_batch_start(self, *_: Any) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)


def test_sigterm_stays_with_whoever_had_it(lab: Lab, tmp_path: Path, handlers: None):
    def own(signum: int, frame: Any) -> None:
        """Only told something."""

    signal.signal(signal.SIGTERM, own)
    alone, ours = WhoHasSigterm(), WhoHasSigterm()
    lightning_alone(tmp_path, alone).fit(BoringModel())
    assert alone.handler is not own
    assert signal.getsignal(signal.SIGTERM) is own
    trainer_of(lab, ours).fit(BoringModel())
    assert ours.handler is own


class Raises(Callback):
    """Ctrl-C in mid-training, as Python has it or as the lab does."""

    def __init__(self, raised: BaseException) -> None:
        self.raised = raised

    def on_train_batch_start(self, *_: Any) -> None:
        raise self.raised


def test_an_interrupt_passes_through_where_ctrl_c_would_not(lab: Lab, tmp_path: Path, handlers: None):
    with pytest.raises(SystemExit) as ended:
        lightning_alone(tmp_path, Raises(KeyboardInterrupt())).fit(BoringModel())
    assert ended.value.code == 1
    with pytest.raises(Interrupted, match="SIGINT"):
        trainer_of(lab, Raises(Interrupted(signal.SIGINT))).fit(BoringModel())


# --- one process


def test_one_process_though_slurm_promises_two(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As after `salloc --ntasks=2`, where each job of a sweep is a run of its own."""
    for name, value in {"NTASKS": "2", "JOB_ID": "1", "JOB_NAME": "it", "PROCID": "1", "LOCALID": "1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    with pytest.raises(RuntimeError, match="--ntasks=2"):
        lightning_alone(tmp_path)
    trainer = trainer_of(lab)
    assert (trainer.world_size, trainer.is_global_zero) == (1, True)
    trainer.fit(BoringModel())
    assert trainer.global_step == STEPS


# --- steps and epochs


class OwnSteps(BoringModel):
    """Steps the bare optimiser, and counts it or does not."""

    def __init__(self, counts: bool) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.counts = counts

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        self.step(batch).backward()
        optimizer.step()
        if self.counts:
            count_step(self.trainer)


@pytest.mark.parametrize("counts", [False, True])
def test_a_step_that_the_module_takes_is_counted(lab: Lab, counts: bool):
    trainer = trainer_of(lab, epochs=2)
    trainer.fit(OwnSteps(counts))
    assert trainer.global_step == 2 * STEPS * counts


class Told:
    """Some batches, with the epochs that somebody said."""

    def __init__(self, own_sampler: bool) -> None:
        self.epochs: list[int] = []
        if own_sampler:
            self.sampler = self

    def set_epoch(self, epoch: int) -> None:
        self.epochs.append(epoch)

    def __len__(self) -> int:
        return STEPS

    def __iter__(self) -> Iterator[Tensor]:
        return iter(torch.zeros(STEPS, 1, 32))


def test_a_loader_hears_the_epoch_as_its_own_sampler(lab: Lab, tmp_path: Path):
    alone, ours = Told(own_sampler=False), Told(own_sampler=True)
    lightning_alone(tmp_path).fit(BoringModel(), alone)
    assert alone.epochs == []
    trainer_of(lab, epochs=3).fit(BoringModel(), ours)
    assert sorted(set(ours.epochs)) == [0, 1, 2]


class EpochsOfTheLoader(Callback):
    """What a run's own loader was told."""

    def __init__(self) -> None:
        self.epochs: list[int] = []

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        self.epochs.append(trainer.train_dataloader.epoch)


def test_the_loader_of_a_run_hears_the_epoch(lab: Lab):
    heard = EpochsOfTheLoader()
    lab.run("trainer.steps_per_call=1", callbacks=[heard])
    assert heard.epochs == [0, 0, 0, 1, 1, 1]


# --- files


def test_a_checkpoint_stays_in_memory(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        TorchCheckpointIO().save_checkpoint({"weights": torch.arange(1000)}, tmp_path / "last.ckpt")
    trainer, model = trainer_of(lab), BoringModel()
    trainer.fit(model)
    taken = take_snapshot(trainer)
    assert torch.equal(taken["state_dict"]["layer.weight"], model.layer.weight)
    assert taken["global_step"] == STEPS
    assert not list(tmp_path.rglob("*.ckpt"))


class Logs(BoringModel):
    """Logs once in training and once in the test, and has hyper-parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.save_hyperparameters({"width": 16})

    def on_train_epoch_end(self) -> None:
        self.log("train/loss", 1.0)

    def on_test_epoch_end(self) -> None:
        self.log("test/loss", 2.0)


def files_of_fit_and_test(trainer: Trainer, model: LightningModule, folder: Path) -> list[str]:
    trainer.fit(model)
    trainer.test(model, verbose=False)
    return sorted(file.name.split(".")[0] for file in folder.rglob("*") if file.is_file())


def test_one_event_file_from_training_to_the_test(lab: Lab, tmp_path: Path):
    alone = lightning_alone(tmp_path, logger=TensorBoardLogger(tmp_path / "alone"))
    assert files_of_fit_and_test(alone, Logs(), tmp_path / "alone") == ["events", "events", "hparams"]
    assert files_of_fit_and_test(trainer_of(lab), Logs(), lab.output_dir) == ["events"]
    written = scalars(lab.output_dir)
    assert (written["loss/train"], written["test/loss"]) == ([(STEPS - 1, 1.0)], [(STEPS, 2.0)])


def test_events_of_a_run_that_continues_move_into_one_file(tmp_path: Path):
    """All up to the checkpoint, of several former files; neither what came after it nor a test."""
    for first in (1, 3):
        former = EventLogger(tmp_path)
        for step in (first, first + 1):
            former.log_metrics({"train/loss": float(step)}, step=step)
        former.log_metrics({"test/loss": 0.0}, step=first)
        former.experiment.add_custom_scalars({"charts": {"loss": ["Multiline", ["train/loss"]]}})  # written again
        former.experiment.add_scalar("train/loss", float(first + 2), first + 2)  # the tag of former versions
        former.close()
    logger = EventLogger(tmp_path)
    logger.take_over(last_step=3)
    logger.log_metrics({"train/loss": 40.0}, step=4)
    logger.close()
    assert len(list(tmp_path.iterdir())) == 1
    written = scalars(tmp_path)
    assert events(tmp_path).Tags()["tensors"] == []
    assert sorted(written.pop("loss/train")) == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 40.0)]
    assert not written
