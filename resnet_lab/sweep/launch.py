"""Run the jobs of a sweep: start them in free slots, monitor them, and handle every way they can end."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from resnet_lab.callbacks.message import Progress
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import to_config, use_config_dirs
from resnet_lab.config.enums import Accelerator
from resnet_lab.config.hydra_private import failed, failure, singletons
from resnet_lab.interrupts import Interrupted, RunFailed, exit_reason
from resnet_lab.rundir.directory import RunDirectory, RunLocked
from resnet_lab.rundir.files import temporary_folder
from resnet_lab.rundir.place import run_directory
from resnet_lab.rundir.states import State
from resnet_lab.sweep.composer import fixed
from resnet_lab.sweep.mps import service_for
from resnet_lab.sweep.plan import labels
from resnet_lab.sweep.progress_table import ProgressTable
from resnet_lab.sweep.slots import Slot, share
from resnet_lab.sweep.worker import Work, forks, work
from resnet_lab.tasks.pretrained import identified

REFRESH_SECONDS = 0.5
RETRY_SECONDS = 5.0  # between checks whether another process has released a run
GRACE_SECONDS = 15.0  # for a terminated job to exit; it first finishes a training step

# The number of a job, and its validation score after each epoch so far -> why it has to stop; empty: it may go on.
Judge = Callable[[int, list[float]], str]


@dataclass
class Running:
    """A job and its process."""

    number: int
    slot: Slot
    process: BaseProcess
    connection: Connection
    output: Path  # file with what the job prints
    directory: RunDirectory | None  # None if its settings are invalid
    started_at: float = field(default_factory=time.monotonic)
    returned: JobReturn | None = None
    terminated_at: float | None = None  # when it reached the time limit


class Launch:
    """Schedule jobs: at most `jobs` at once and `jobs_per_gpu` per GPU, `time_limit` minutes each, `mps` to use MPS.

    A job has `gpus_per_job`, if there are GPUs. With a `judge`, jobs ask it before each epoch but the first.
    """

    def __init__(
        self,
        hydra_context: HydraContext,
        task_function: TaskFunction,
        config: DictConfig,
        jobs: int | None,
        jobs_per_gpu: int,
        gpus_per_job: int,
        time_limit: float | None,
        mps: bool,
        judge: Judge | None = None,
    ) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        self.slots = share(jobs, jobs_per_gpu, config.trainer.accelerator is not Accelerator.cpu, gpus_per_job)
        self.seconds = 60 * time_limit if time_limit else None
        self.mps, self.judge = mps, judge
        self.context = forks()

    def run(self, jobs: Sequence[list[str]], first_number: int) -> list[JobReturn]:
        """Return the result of every job, in order. On Ctrl-C, ask the jobs to end; they can be continued."""
        use_config_dirs(self.config.hydra)
        self.jobs, self.first_number = jobs, first_number
        self.returns: dict[int, JobReturn] = {}
        self.running: list[Running] = []
        # Earliest start and number of each job; the start is postponed if another process has locked the run.
        waiting = [(0.0, number) for number in range(len(jobs))]
        with ExitStack() as stack:
            self.folder = stack.enter_context(temporary_folder("resnet_lab_"))
            used = self.slots[: len(jobs)]
            self.environment = stack.enter_context(service_for(used, self.folder)) if self.mps else {}
            self.board = stack.enter_context(ProgressTable(labels(jobs, fixed(self.hydra_context, self.config))))
            try:
                while waiting or self.running:
                    while waiting and waiting[0][0] < time.monotonic() and (free := self._free_slots()):
                        _, number = waiting.pop(0)
                        self._start(number, free[0])
                    waiting += [(time.monotonic() + RETRY_SECONDS, number) for number in self._poll()]
            except Interrupted as interrupted:
                left = f"{len(jobs) - len(self.returns)} of {len(jobs)} jobs left"
                interrupted.message = f"interrupted, {left}; run the same command again to continue them"
                raise
            finally:
                self._stop_all()
        return [self.returns[number] for number in range(len(jobs))]

    def _free_slots(self) -> list[Slot]:
        free = list(self.slots)
        for job in self.running:
            free.remove(job.slot)
        return free

    def _start(self, number: int, slot: Slot) -> None:
        config = self.hydra_context.config_loader.load_sweep_config(self.config, self.jobs[number])
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = self.first_number + number
        asks = self.judge is not None
        job = Work(self.hydra_context, self.task_function, config, singletons(), self.environment, asks)
        output = self.folder / f"{number}.txt"
        directory = _directory(config)
        connection, theirs = self.context.Pipe()
        process = self.context.Process(target=work, args=(theirs, output, slot, job))
        process.start()
        theirs.close()
        self.running.append(Running(number, slot, process, connection, output, directory))
        self.board.started(number)

    def _poll(self) -> list[int]:
        """Wait briefly for messages. Return the numbers of the jobs whose run is locked by another process."""
        wait([item for job in self.running for item in (job.connection, job.process.sentinel)], REFRESH_SECONDS)
        held = []
        for job in list(self.running):
            ended = not job.process.is_alive()
            self._receive(job)
            if ended:
                self.running.remove(job)
                returned = job.returned or self._without_result(job)
                if isinstance(locked := failure(returned), RunLocked):
                    held.append(job.number)
                    self.board.held(job.number, str(locked))
                else:
                    self.returns[job.number] = returned
                    self.board.ended(job.number, returned, job.directory)
            else:
                self._enforce_time_limit(job)
        self.board.refresh()
        return held

    def _enforce_time_limit(self, job: Running) -> None:
        """Terminate a job that exceeds its time limit; kill it if it does not react."""
        now = time.monotonic()
        if self.seconds and job.terminated_at is None and now - job.started_at > self.seconds:
            job.terminated_at = now
            job.process.terminate()
        elif job.terminated_at is not None and now - job.terminated_at > GRACE_SECONDS:
            job.process.kill()

    def _receive(self, job: Running) -> None:
        """Receive all pending messages of a job."""
        try:
            while job.connection.poll():
                message = job.connection.recv()
                if isinstance(message, Progress):
                    self.board.progress(job.number, message, job.slot.gpu)
                elif isinstance(message, list) and self.judge:
                    job.connection.send(self.judge(job.number, message))
                else:
                    job.returned = message
        except (EOFError, ConnectionError):
            pass  # all messages were received

    def _without_result(self, job: Running) -> JobReturn:
        """Return the failure of a job that ended without a result, and record it in the run directory if needed."""
        if job.terminated_at is not None and self.seconds:
            why = f"took longer than hydra.launcher.time_limit={self.seconds / 60:g} minutes"
        else:
            why = exit_reason(job.process.exitcode or 0)
        why += "; run the same command again to continue after its last full epoch"
        if job.directory:
            _record(job, job.directory, why)
            why = f"{job.directory.path}: {why}"
        return failed(self.jobs[job.number], RunFailed(why))

    def _stop_all(self) -> None:
        for job in self.running:
            job.process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        for job in self.running:
            job.process.join(max(0.0, deadline - time.monotonic()))
            if job.process.is_alive():
                job.process.kill()
                job.process.join()


def _directory(composed: DictConfig) -> RunDirectory | None:
    """Return the run directory of a job; None if its settings are invalid, which the job itself reports."""
    try:
        return run_directory(identified(to_config(composed))[0])
    except ConfigError:
        return None


def _record(job: Running, directory: RunDirectory, why: str) -> None:
    """Record a failure in the run directory, unless this job never began there or another process continues the run."""
    if directory.status().get("pid") != job.process.pid:
        return
    output = job.output.read_text(errors="replace")
    try:
        with directory.locked():
            directory.set_status(State.failed, why)
            with directory.log_file.open("a", encoding="utf-8") as log_file:
                log_file.write(f"{output}{why}\n")
    except (ConfigError, OSError):
        pass  # another process has locked the run, or the disk is full
