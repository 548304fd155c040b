"""Save checkpoints once per epoch."""

from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Checkpoint

from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.files import copy_atomically
from resnet_lab.rundir.states import State
from resnet_lab.training.module import best_epoch


class Checkpoints(Checkpoint):
    """Save `last.ckpt` after every epoch and, with a validation part, `best.ckpt` of the first lowest score.

    The history alone determines the best epoch. Lightning's ModelCheckpoint keeps its own state, which it drops when
    the run directory was moved; the next epoch then counts as the best.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Lightning calls this after the module's own hook, which adds the epoch to the history."""
        last, best = self.directory.last, self.directory.best
        if best_epoch(pl_module.history, pl_module.score) is pl_module.history[-1]:
            trainer.save_checkpoint(best, weights_only=False)
            copy_atomically(best, last)
        else:
            trainer.save_checkpoint(last, weights_only=False)
        self.directory.set_status(State.running, epochs=len(pl_module.history))
