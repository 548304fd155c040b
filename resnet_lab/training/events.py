"""The TensorBoard file of a run: one, also when the run was interrupted and continued."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader


class EventLogger(TensorBoardLogger):
    """Writes one event file straight into the run directory, from the first epoch to the test."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, name="", version="", default_hp_metric=False)

    def save(self) -> None:
        """Flush. Lightning's own would add a hparams.yaml, which config.yaml already is."""
        self.experiment.flush()

    def finalize(self, status: str) -> None:
        """Flush. Lightning's own would close the file after training, and the test would open a second one."""
        self.save()

    def close(self) -> None:
        """End the file."""
        self.experiment.close()

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
