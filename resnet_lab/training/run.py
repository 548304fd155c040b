"""One run from start to end: check everything, begin or continue, train, test, record."""

from __future__ import annotations

import errno
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning import Callback, Trainer, seed_everything

from resnet_lab.config import Config, ConfigError
from resnet_lab.data.module import ImageData
from resnet_lab.ending import Interrupted, RunFailed, signals_kept
from resnet_lab.model.complexity import Complexity
from resnet_lab.model.summary import measure
from resnet_lab.training.checkpoint import Checkpoints, WholeCheckpointIO
from resnet_lab.training.events import EventLogger
from resnet_lab.training.log import log, recorded
from resnet_lab.training.machine import Machine
from resnet_lab.training.module import Diverged, ImageClassifier, best_epoch
from resnet_lab.training.naming import run_path
from resnet_lab.training.record import RunDirectory, identity, load_checkpoint, refuse_unwritable, write_json
from resnet_lab.training.result import Means, collect
from resnet_lab.training.signals import OwnSignals

Result = dict[str, Any]


def run(config: Config, overrides: Sequence[str], callbacks: Sequence[Callback]) -> Result:
    """Train what is configured, continue it, or return what is stored if it is done: the content of result.json.

    Empty for a dry run. Raises ConfigError before anything is created, when a setting or the data is wrong; RunFailed
    when training fails or diverges; Interrupted on Ctrl-C and SIGTERM.
    """
    cost, directory = check(config, overrides)
    if result := directory.result():
        log.info("%s is done already", directory.path)
        return result
    machine = Machine.choose(config, cost.macs)
    job = Job(config, directory, cost, machine, callbacks)
    if config.dry_run:
        log.info(job.description(data=None))
        return {}
    data = ImageData(config, machine.steps_per_call)
    _refuse_lonely_image(config, data)
    with directory.held(), recorded(directory.log_file), machine.set_up():
        log.info(job.description(data))
        # Another process may have gone on with it, or ended it, meanwhile.
        return directory.result() or job.guarded(data, job.checkpoint())


def check(config: Config, overrides: Sequence[str]) -> tuple[Complexity, RunDirectory]:
    """What the network costs and where the run lives; reads nothing but the run's directory, and creates nothing.

    Raises ConfigError when a setting is wrong or the directory holds another run, RunFailed when the run has diverged.
    """
    if not config.model.head.classifier:
        raise ConfigError("model.head.classifier=false makes an encoder, which cannot be trained as a classifier")
    cost = measure(config, overrides)
    directory = RunDirectory(run_path(config, overrides))
    refuse_unwritable(directory.path)
    directory.refuse_other(config)
    status = directory.status()
    if status.get("state") == "diverged":
        raise RunFailed(f"{directory.path} has diverged: {status.get('why')}. Remove it to try again")
    return cost, directory


@dataclass(frozen=True, slots=True)
class Job:
    """A run that has passed all checks."""

    config: Config
    directory: RunDirectory
    cost: Complexity
    machine: Machine
    callbacks: Sequence[Callback]

    def checkpoint(self) -> dict[str, Any] | None:
        """What the run continues from, if anything. Raises ConfigError when it is of another configuration."""
        if not self.directory.last.exists():
            return None
        checkpoint = load_checkpoint(self.directory.last)
        if checkpoint["resnet_lab"]["identity"] != identity(self.config):
            raise ConfigError(f"{self.directory.last} is a checkpoint of another configuration: move it away")
        return checkpoint

    def description(self, data: ImageData | None) -> str:
        """What will be done, and how, in four lines; without the number of images when no data was read."""
        cost, machine, epochs = self.cost, self.machine, self.config.trainer.max_epochs
        images = ""
        if data:
            parts = (len(data.train_rows), len(data.validation_rows), len(data.source.test))
            images = ": {:,} training, {:,} validation, {:,} test images, ".format(*parts)
            images += f"{data.num_batches} steps an epoch"
        checkpoint = self.checkpoint()
        done = f"continue after epoch {len(checkpoint['history'])} of {epochs}" if checkpoint else None
        return (
            f"{self.config.name}: depth {cost.depth}, {cost.params:,} params, {cost.macs:,} MACs an image\n"
            f"{self.config.data.name.name}{images}\n"
            f"{machine.accelerator} ({machine.name}): {machine.reasons}\n"
            f"{self.directory.path}: {done or f'train {epochs} epoch' + 's' * (epochs != 1)}"
        )

    def guarded(self, data: ImageData, checkpoint: dict[str, Any] | None) -> Result:
        """Train and test, and record how it ended, however it ends."""
        directory = self.directory
        try:
            directory.write_config(self.config)
            directory.set_status("running")
            with signals_kept():
                result = self.train(data, checkpoint)
            write_json(directory.result_file, result)
            directory.set_status("done")
            return result
        except (Interrupted, SystemExit) as interrupted:
            # SystemExit is how submitit ends a job that SLURM takes back, after it was queued again.
            why = str(interrupted) if isinstance(interrupted, Interrupted) else "the process was asked to end"
            directory.set_status("interrupted", why)
            log.info("interrupted; the same command again continues after the last full epoch")
            raise
        except Diverged as diverged:
            why = f"{diverged}; a lower optim.lr or optim.warmup_iterations may help"
            directory.set_status("diverged", why)
            raise RunFailed(f"{directory.path} has diverged: {why}") from diverged
        except Exception as error:
            log.debug("failed", exc_info=True)
            why = f"{type(error).__name__}: {error}"
            try:
                directory.set_status("failed", why)
            except OSError:  # the disk may be what failed
                log.warning("status.json could not be written either")
            raise RunFailed(f"{directory.path} has failed: {why}; {_advice(error, directory)}") from error

    def train(self, data: ImageData, checkpoint: dict[str, Any] | None) -> Result:
        """Fit, then look at the test set: with the last weights and with those of the best validation error."""
        config, directory = self.config, self.directory
        logger = EventLogger(directory.path)
        logger.take_over(last_step=checkpoint["global_step"] if checkpoint else -1)
        trainer = Trainer(
            accelerator=self.machine.accelerator,
            devices=1,
            precision=self.machine.precision,  # type: ignore[arg-type]  # checked by TrainerConfig
            max_epochs=config.trainer.max_epochs,
            deterministic=config.deterministic,
            benchmark=not config.deterministic,
            limit_val_batches=1.0 if len(data.validation_rows) else 0,
            logger=logger,
            callbacks=[*self.callbacks, Checkpoints(directory), OwnSignals()],
            plugins=[WholeCheckpointIO(), LightningEnvironment()],  # one process, whatever SLURM's variables say
            default_root_dir=directory.path,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        seed_everything(config.seed, verbose=False)
        facts = {"identity": identity(config), "mean": list(data.normalise.mean), "std": list(data.normalise.std)}
        module = ImageClassifier(config, self.machine, data.num_batches, facts)
        trainer.fit(module, data, ckpt_path=directory.last if checkpoint else None, weights_only=True)
        history = module.history
        test_last = self._test(trainer, module, data)
        logger.log_metrics({"test/loss": test_last[0], "test/error": test_last[1]}, step=module.global_step)
        test_best: Means | None = None
        if best_epoch(history):
            module.load_state_dict(load_checkpoint(directory.best)["state_dict"])
            test_best = self._test(trainer, module, data)
        logger.close()
        return collect(config, self.cost, self.machine, history, test_last, test_best)

    def _test(self, trainer: Trainer, module: ImageClassifier, data: ImageData) -> Means:
        trainer.test(module, data, verbose=False)
        assert module.test_means is not None
        if not math.isfinite(module.test_means[0]):  # the very last steps went wrong
            raise Diverged(f"test/loss is {module.test_means[0]} after epoch {len(module.history)}")
        return module.test_means


def _refuse_lonely_image(config: Config, data: ImageData) -> None:
    """BatchNorm cannot normalise a single value: one image in the last mini-batch, of one pixel in the last map."""
    _, *size = config.data.image_shape
    alone = data.num_images % config.optim.batch_size == 1 or config.optim.batch_size == 1
    if alone and config.model.batch_norm and max(size) <= math.prod(config.model.strides):
        raise ConfigError(
            f"optim.batch_size={config.optim.batch_size} leaves one of {data.num_images} images alone in a mini-batch, "
            "and its last map has one pixel: BatchNorm needs more; use another batch size"
        )


def headline(result: Result) -> str:
    """Which run it was, and its errors, in a line."""
    return f"{result['name']} seed {result['seed']}: {errors(result)}"


def errors(result: Result) -> str:
    """The errors on the test set with the last weights and with those of the best epoch, and what they took."""
    last, best = result["last"], result["best"]
    chosen = f", {best['test_error']:.2f} % (epoch {best['epoch']}, lowest validation error)" if best else ""
    return (
        f"test error {last['test_error']:.2f} % (last epoch, {last['epoch']}){chosen}; "
        f"trained in {result['seconds']:.0f} s"
    )


def _advice(error: Exception, directory: RunDirectory) -> str:
    if isinstance(error, torch.OutOfMemoryError):
        return "use a smaller optim.batch_size, or trainer.precision=bf16-mixed"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "free some space and run the same command again: it continues after the last full epoch"
    return f"the traceback is in {directory.log_file}; the same command again continues after the last full epoch"
