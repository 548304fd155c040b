"""Progress of a sweep: a live table on a terminal, and a log line when a job starts or ends."""

import time
from typing import Self

from hydra.core.utils import JobReturn
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from resnet_lab.callbacks.message import Progress
from resnet_lab.config.hydra_private import failure
from resnet_lab.interrupts import Pruned, TimeUp
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.text import plural
from resnet_lab.training.log import console, log
from resnet_lab.training.result import scores


class ProgressTable:
    """Jobs of a launch, by number. Inside the context the table stays below the log lines."""

    def __init__(self, labels: list[str]) -> None:
        self.labels = labels
        self.progressed: dict[int, Progress | None] = {}  # of the running jobs
        self.num_ended = self.num_failed = self.num_stopped = 0
        self.live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        self.begun = time.monotonic()
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.live:
            self.live.stop()

    def started(self, number: int) -> None:
        self.progressed[number] = None

    def progress(self, number: int, progress: Progress, gpu: str | None = None) -> None:
        if self.progressed[number] is None:
            where = f" on GPU {gpu}" if gpu else ""
            begun = f"continues after epoch {progress.epoch} of" if progress.epoch else "training for"
            epochs = plural(progress.max_epochs, "epoch")
            log.info("%s: %s %s%s", self.labels[number], begun, epochs, where)
        self.progressed[number] = progress

    def held(self, number: int, who: str) -> None:
        del self.progressed[number]
        log.info("%s: waiting; %s", self.labels[number], who)

    def ended(self, number: int, returned: JobReturn, directory: RunDirectory | None) -> None:
        del self.progressed[number]
        self.num_ended += 1
        error = failure(returned)
        if isinstance(error, (TimeUp, Pruned)):
            self.num_stopped += 1
            outcome = str(error)
        elif error:
            self.num_failed += 1
            outcome = f"failed: {error}"
        else:
            result = directory.result() if directory else {}
            outcome = scores(result, with_test=False) if result else "already done"
        log.info("[%d/%d] %s: %s", self.num_ended, len(self.labels), self.labels[number], outcome)

    def refresh(self) -> None:
        if self.live:
            self.live.update(Group(self._table(), self._totals()), refresh=True)

    def _table(self) -> Table:
        table = Table("job", "state", box=None, pad_edge=False)
        names = dict.fromkeys(progress.scoring.score for progress in self.progressed.values() if progress)
        things = dict.fromkeys(progress.things for progress in self.progressed.values() if progress) or ["images"]
        for column in ("epoch", f"val {'/'.join(names)}".rstrip(), f"{' or '.join(things)}/s", "time left"):
            table.add_column(column, justify="right", no_wrap=True)
        for number, progress in self.progressed.items():
            if progress is None:
                table.add_row(self.labels[number], "starting")
                continue
            table.add_row(
                self.labels[number],
                "training" if progress.epoch < progress.max_epochs else "testing",
                f"{progress.epoch}/{progress.max_epochs}",
                "" if progress.val_score is None else progress.scoring.text(progress.val_score),
                "" if progress.images_per_second is None else f"{progress.images_per_second:,.0f}",
                "" if progress.seconds_left is None else _clock(progress.seconds_left),
            )
        return table

    def _totals(self) -> Text:
        waiting = len(self.labels) - self.num_ended - len(self.progressed)
        ended = f"{self.num_ended - self.num_failed - self.num_stopped} done, {self.num_failed} failed"
        if self.num_stopped:
            ended += f", {self.num_stopped} stopped"
        passed = _clock(time.monotonic() - self.begun)
        return Text(f"{ended}, {len(self.progressed)} running, {waiting} waiting · {passed}")


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
