"""A folder of links to runs for TensorBoard, in which each run is named by what varies among them.

TensorBoard names runs after their directories, and the tab HPARAMS shows the settings that the first run lists. Here,
all runs list the settings that vary.
"""

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.summary.writer.record_writer import RecordWriter

from resnet_lab.config.canonical import canonical
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.report.comparison import Fields, axes, differing, label, text
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.stored_runs import walk

MOST_BYTES = 200  # of a name; file systems allow 255
SETTINGS = "events.out.tfevents.0.settings"  # sorts before a run's own file: TensorBoard keeps what it reads first


@dataclass(frozen=True, slots=True)
class Shown:
    """What names a run: its settings, and the score of its task."""

    fields: Fields
    score: str


class View:
    """The folder, which has a sub-folder for each run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[Path, Shown] = {}  # the settings of a run never change

    def update(self, directories: Iterable[Path]) -> int:
        """Add runs that have begun, and rename all if other settings vary now. Return the number of runs."""
        found = {path for directory in directories for path, is_run in walk(directory) if is_run}
        paths = sorted(path for path in found if not path.is_relative_to(self.folder.resolve()))
        self.known = {path: shown for path in paths if (shown := self.known.get(path) or _read(path))}
        varying = differing([shown.fields for shown in self.known.values()])
        named = names({path: _only(shown.fields, varying) for path, shown in self.known.items()})
        scores = list(dict.fromkeys(shown.score for shown in self.known.values()))
        self.folder.mkdir(exist_ok=True)
        for folder in self.folder.iterdir():
            if folder.name not in named.values():
                shutil.rmtree(folder)
        for path, name in named.items():
            if not (folder := self.folder / name).exists():
                folder.mkdir()
                _write_settings(folder / SETTINGS, name, _only(self.known[path].fields, varying), scores)
            _link(path, folder)
        return len(named)


def names(varying: Mapping[Path, Fields]) -> dict[Path, str]:
    """Name runs by settings, as in `shortcut=none units=2 seed=1`; names are unique, and valid for directories."""
    counts = Counter[str]()
    named: dict[Path, str] = {}
    for path, fields in varying.items():
        name = (label(fields) or path.parents[1].name).replace("/", "_")
        name = name.encode()[:MOST_BYTES].decode(errors="ignore")
        counts[name] += 1
        named[path] = name if counts[name] == 1 else f"{name} #{counts[name]}"
    return named


def _only(fields: Fields, names: Iterable[str]) -> Fields:
    return {name: fields.get(name) for name in names}


def _read(path: Path) -> Shown | None:
    """Return the settings of a run, the seed last; None if it is damaged, which a report says."""
    try:
        config: Config = RunDirectory(path).stored_config()
    except ConfigError:
        return None
    others = {name: value for name, value in canonical(config).items() if not name.startswith(("model.", "seed"))}
    return Shown(axes(config.model) | others | {"seed": config.seed}, TASKS.info(config.task).score)


def _write_settings(file: Path, name: str, fields: Fields, scores: Iterable[str]) -> None:
    """Write what HPARAMS shows of a run: some settings, and its last validation and test scores."""
    values = {field: value if isinstance(value, int | float) else text(value) for field, value in fields.items()}
    metrics = [hparams.Metric(tag) for score in scores for tag in (f"{score}/val", f"test/{score}")]
    listed = hparams.hparams_config_pb([hparams.HParam(field) for field in values], metrics)
    with file.open("wb") as stream:
        writer = RecordWriter(stream)
        for summary in (listed, hparams.hparams_pb(values, trial_id=name)):
            writer.write(Event(wall_time=time.time(), summary=summary).SerializeToString())


def _link(path: Path, folder: Path) -> None:
    """Link everything in a run directory. A run that continues replaces its event file."""
    for link in folder.iterdir():
        if not link.exists():
            link.unlink()
    for entry in path.iterdir():
        if not (link := folder / entry.name).is_symlink():
            link.symlink_to(entry)
