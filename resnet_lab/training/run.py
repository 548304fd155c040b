"""One run from start to end: check, start or continue, train, test, record."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from pytorch_lightning import Callback, Trainer

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.enums import Kernels
from resnet_lab.config.schema import Config
from resnet_lab.config.stored import to_stored
from resnet_lab.data.file_pixels import FilePixels
from resnet_lab.interrupts import Interrupted, Pruned, RunFailed, TimeUp, signals_kept
from resnet_lab.kernels.choice import KINDS, NoKernels
from resnet_lab.model.complexity import Complexity
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.files import write_json
from resnet_lab.rundir.place import run_directory
from resnet_lab.rundir.states import State
from resnet_lab.tasks.load import load_checkpoint
from resnet_lab.tasks.pretrained import identified, look_again
from resnet_lab.text import shares
from resnet_lab.training.advice import advice
from resnet_lab.training.announce import begun_with, description, notes, notes_on_network
from resnet_lab.training.checkpoint import Checkpoints
from resnet_lab.training.clock import Clock
from resnet_lab.training.fit import prepare
from resnet_lab.training.follower import follow
from resnet_lab.training.history import best_epoch
from resnet_lab.training.lightning import EventLogger, LoadedImages
from resnet_lab.training.limit import TimeLimit
from resnet_lab.training.log import log, log_to
from resnet_lab.training.module import Diverged, TaskModule
from resnet_lab.training.predictions import store
from resnet_lab.training.preflight import check, check_images
from resnet_lab.training.processes import DeviceLost, dismiss, started_as, together
from resnet_lab.training.prolong import beginning, copy_beginning
from resnet_lab.training.ranks import Ranks
from resnet_lab.training.result import Tested, collect
from resnet_lab.training.resume import continuable
from resnet_lab.training.runtime import Runtime

Result = dict[str, Any]


def run(config: Config, callbacks: Sequence[Callback] = (), sweeper: str | None = None) -> Result:
    """Train the configured run or continue it, unless it is done; return the content of its result.json.

    The result names the `sweeper`, by which reports recognise trials of a search. A dry run returns {}. Raises
    ConfigError, before anything is created, when a setting or the data is wrong; RunFailed when training fails or
    diverges; TimeUp, a RunFailed, after `trainer.max_time`; Pruned, a RunFailed, when a callback says so; Interrupted
    on Ctrl-C and SIGTERM.

    Of several processes that torchrun or srun has started, all but the first train with it, and return {}.
    """
    ranks = started_as(config)
    if not ranks.is_first:
        follow(ranks)
        return {}
    try:
        return _run(config, callbacks, sweeper)
    finally:
        dismiss(ranks)


def _run(config: Config, callbacks: Sequence[Callback], sweeper: str | None) -> Result:
    clock = Clock()
    if config.trainer.max_time:
        callbacks = [*callbacks, TimeLimit(config.trainer.max_time)]
    look_again()
    with clock.during("data"):
        config, images = identified(config)
    directory = run_directory(config)
    cost = check(config, directory, images)
    if result := directory.result():
        log.info("%s is already done", directory.path)
        if images and (changes := directory.changed_images(images)):
            log.info("note: the images have changed since then: %s", changes)
        elif images and directory.adopt_images(config.data.root):
            log.info("note: its images are read from %s from now on", config.data.folder)
        return result
    runtime = Runtime.resolve(config, cost.macs)
    job = Job(config, directory, cost, runtime, callbacks, clock, sweeper)
    if config.dry_run:
        log.info(description(config, cost, runtime, directory, None, job.checkpoint()))
        for note in notes_on_network(config.model):
            log.info("note: %s", note)
        return {}
    with clock.during("data"):
        data = LoadedImages(config, runtime.steps_per_call, Ranks(size=runtime.devices))
    check_images(config, directory, cost, data)
    with directory.locked(), log_to(directory.log_file), runtime.set_up():
        checkpoint = job.checkpoint()
        job = job.as_begun(checkpoint)
        log.info(description(config, cost, job.runtime, directory, data, checkpoint))
        for note in [*data.notes, *notes(config, job.runtime, directory, data, checkpoint)]:
            log.info("note: %s", note)
        # Another process may have continued or finished the run in the meantime.
        return directory.result() or job.train_and_record(data, checkpoint)


@dataclass(frozen=True, slots=True)
class Job:
    """A run that has passed all checks."""

    config: Config
    directory: RunDirectory
    cost: Complexity
    runtime: Runtime
    callbacks: Sequence[Callback]
    clock: Clock
    sweeper: str | None

    def checkpoint(self) -> dict[str, Any] | None:
        """Return the checkpoint to continue from, if any. Raises ConfigError when the run cannot continue from it."""
        if self.directory.last.exists():
            return continuable(self.config, self.directory)
        checkpoint, why_none = beginning(self.config, self.directory)
        if why_none:
            log.info("note: %s", why_none)
        return checkpoint

    def as_begun(self, checkpoint: dict[str, Any] | None) -> Self:
        """Return the job with the kernels that a deterministic run began with on a CPU.

        Raises ConfigError if they cannot be had.
        """
        begun = begun_with(checkpoint, self.runtime)
        if not self.config.deterministic or self.runtime.accelerator == "gpu" or begun == KINDS[self.runtime.kernels]:
            return self
        config = replace(self.config, trainer=replace(self.config.trainer, kernels=Kernels[begun]))
        try:
            runtime = Runtime.resolve(config, self.cost.macs)
        except NoKernels as error:
            raise ConfigError(f"deterministic=true: the run began with native kernels, but {error.why}") from error
        log.info("note: deterministic=true: the run goes on with %s kernels, as it began", begun)
        return replace(self, config=config, runtime=runtime)

    def train_and_record(self, data: LoadedImages, checkpoint: dict[str, Any] | None) -> Result:
        """Train and test, write result.json, and record in status.json how the run ended, whatever happens."""
        directory = self.directory
        try:
            epochs = len(checkpoint["history"]) if checkpoint else 0
            directory.write_images(data.record(), data.source.facts, epochs)
            directory.write_config(self.config)
            directory.set_status(State.running, epochs=epochs)
            if checkpoint and not directory.last.exists():
                copy_beginning(checkpoint, directory)
            with signals_kept():
                result = self.train(data, checkpoint)
            write_json(directory.result_file, result)
            directory.set_status(State.done)
            log.info("wall time %.3g s: %s", result["wall_seconds"], shares(result["wall"]))
            return result
        except Interrupted as interrupted:
            directory.set_status(State.interrupted, str(interrupted))
            interrupted.message = "interrupted; run the same command again to continue after the last full epoch"
            log.debug(interrupted.message)
            raise
        except SystemExit:  # raised by submitit after it has requeued a preempted job
            directory.set_status(State.interrupted, "the process was asked to exit")
            log.debug("interrupted")
            raise
        except (TimeUp, Pruned) as ended:
            state = State.interrupted if isinstance(ended, TimeUp) else State.pruned
            directory.set_status(state, str(ended))
            log.debug(ended)
            raise
        except ConfigError as error:
            directory.set_status(State.failed, str(error))
            raise
        except Diverged as diverged:
            why = f"{diverged}; a lower optim.lr, or a warm-up (optim.warmup_iterations), may help"
            directory.set_status(State.diverged, why)
            raise RunFailed(f"{directory.path} has diverged: {why}") from diverged
        except Exception as error:
            log.debug("failed", exc_info=True)
            why = f"{type(error).__name__}: {error}"
            try:
                directory.set_status(State.failed, why)
            except OSError:  # the disk itself may have failed
                log.warning("status.json could not be written either")
            again = "run the same command again to continue after the last full epoch"
            what_helps = advice(error) or f"the traceback is in {directory.log_file}; {again}"
            raise RunFailed(f"{directory.path} has failed: {why}; {what_helps}") from error

    def train(self, data: LoadedImages, checkpoint: dict[str, Any] | None) -> Result:
        """Train, then test the last weights and, if there is a validation part, those of the best epoch."""
        config, directory = self.config, self.directory
        logger = EventLogger(directory.path)
        continued_from = checkpoint["resnet_lab"].get("continued_from") if checkpoint else None
        shorter = directory.path.parents[1] / continued_from["run"] if continued_from else None
        logger.take_over(checkpoint["global_step"] if checkpoint else -1, shorter)
        checkpoints = Checkpoints(directory)
        callbacks = [checkpoints, *self.callbacks]  # checkpoints first, then figures
        trainer, module = prepare(config, self.runtime, data, logger, callbacks, self.clock, continued_from)
        last = str(directory.last.absolute()) if checkpoint else None
        try:
            with together(config, self.runtime, {"settings": to_stored(config), "checkpoint": last}):
                trainer.fit(module, data, ckpt_path=last, weights_only=True)
        except Exception as error:
            if checkpoint and not module.has_started and not isinstance(error, DeviceLost):
                why = " ".join(f"{type(error).__name__}: {error}".split())
                raise ConfigError(f"{directory.last} is damaged, the run cannot continue ({why:.200})") from error
            raise
        finally:
            with self.clock.during("checkpoints"):
                checkpoints.finish()
        history = module.history
        test_last = self._test(trainer, module, data)
        scalars = {f"test/{name}": value for name, value in test_last.numbers(module.score).items()}
        logger.log_metrics(scalars, step=module.global_step)
        baselines = self._baselines(module, data)
        test_last.details.update(baselines)
        test_best: Tested | None = None
        if best_epoch(history, config.best_by):
            module.load_state_dict(load_checkpoint(directory.best)["state_dict"])
            test_best = self._test(trainer, module, data)
            test_best.details.update(baselines)
        logger.close()
        tested = {"last": test_last, "best": test_best}
        store(directory.predictions_file, data, {when: test.per_image for when, test in tested.items() if test})
        images = data.record() | {"changes": directory.image_changes()}
        result = collect(config, self.cost, self.runtime, images, history, test_last, test_best, self.clock.read())
        facts = {name: module.hyper_parameters[name] for name in ("devices", "kernels", "continued_from", "pretrained")}
        return result | facts | {"sweeper": self.sweeper}

    def _baselines(self, module: TaskModule, data: LoadedImages) -> dict[str, dict[str, float]]:
        """Return the scores of simple methods on the test images, if the task has any and they fit into memory."""
        train, test = data.source.train.pixels, data.source.test.pixels
        if not module.task.info.decodes or isinstance(train, FilePixels):
            return {}
        with self.clock.during("test"):
            parts = train[data.train_rows], test[data.test_rows]
            return {"baselines": module.task.baselines(*parts)}

    def _test(self, trainer: Trainer, module: TaskModule, data: LoadedImages) -> Tested:
        with self.clock.during("test"):
            trainer.test(module, data, verbose=False)
            per_image = [totals.per_image() for totals in module.tested]
        test = module.tested[0]
        loss, score = test.means()
        if not math.isfinite(loss):  # the very last steps diverged
            raise Diverged(f"test/loss is {loss} after epoch {len(module.history)}")
        averaged = module.tested_average.means() if module.average else None
        details = test.details.scores(data.source.classes) if test.details else {}
        return Tested(loss, score, details, per_image, averaged)
