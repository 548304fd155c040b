"""A folder of links to runs for TensorBoard, in which each run is named by what varies among them.

TensorBoard names runs after their directories, and the tab HPARAMS shows the settings that the first run lists. Here,
all runs list the settings that vary.
"""

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.summary.writer.record_writer import RecordWriter

from resnet_lab.config.canonical import canonical
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.report.axes import axes
from resnet_lab.report.values import Fields, Value, differing, label, text
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.stored_runs import walk
from resnet_lab.text import visible

MOST_BYTES = 200  # of a name; file systems allow 255
SETTINGS = "events.out.tfevents.0.settings"  # sorts before a run's own file: TensorBoard keeps what it reads first


@dataclass(frozen=True, slots=True)
class Shown:
    """What names a run: its settings, and the score of its task."""

    fields: Fields
    score: str


@dataclass(frozen=True, slots=True)
class Made:
    """What a sub-folder shows: a run, its settings that vary, and what HPARAMS lists."""

    path: Path
    fields: Fields
    listed: Summary


class View:
    """The folder, which has a sub-folder for each run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[Path, Shown] = {}  # the settings of a run never change
        self.made: dict[str, Made] = {}  # by the name of the sub-folder

    def update(self, directories: Iterable[Path]) -> int:
        """Add runs that have begun, and rename all if other settings vary now. Return the number of runs."""
        found = {path for directory in directories for path, is_run in walk(directory) if is_run}
        paths = sorted(path for path in found if not path.is_relative_to(self.folder.resolve()))
        self.known = {path: shown for path in paths if (shown := self.known.get(path) or _read(path))}
        varying = differing([shown.fields for shown in self.known.values()])
        table = {path: {name: shown.fields.get(name) for name in varying} for path, shown in self.known.items()}
        listed = _listed(table.values(), dict.fromkeys(shown.score for shown in self.known.values()))
        wanted = {name: Made(path, table[path], listed) for path, name in names(table).items()}
        self.folder.mkdir(exist_ok=True)
        for name in [name for name, made in self.made.items() if wanted.get(name) != made]:
            shutil.rmtree(self.folder / name)
        for name, made in wanted.items():
            if not (folder := self.folder / name).exists():
                folder.mkdir()
                _write_settings(folder / SETTINGS, name, made)
            _link(made.path, folder)
        self.made = wanted
        return len(wanted)


def names(varying: Mapping[Path, Fields]) -> dict[Path, str]:
    """Name runs by settings, as in `shortcut=none units=2 seed=1`; names are unique, and valid for directories."""
    counts = Counter[str]()
    named: dict[Path, str] = {}
    for path, fields in varying.items():
        name = (label(fields) or visible(path.parents[1].name)).replace("/", "_")
        name = name.encode()[:MOST_BYTES].decode(errors="ignore")
        counts[name] += 1
        named[path] = name if counts[name] == 1 else f"{name} #{counts[name]}"
    return named


def _read(path: Path) -> Shown | None:
    """Return the settings of a run, the seed last; None if it is damaged, which a report says."""
    try:
        config: Config = RunDirectory(path).stored_config()
    except ConfigError:
        return None
    others = {name: value for name, value in canonical(config).items() if not name.startswith(("model.", "seed"))}
    return Shown(axes(config.model) | others | {"seed": config.seed}, TASKS.info(config.task).score)


def _plain(value: Value) -> bool | float | str:
    if isinstance(value, int | float):
        return value if isinstance(value, bool) else float(value)
    return text(value)


def _listed(rows: Iterable[Fields], scores: Iterable[str]) -> Summary:
    """Return what HPARAMS lists: the settings with their values, so that it can filter by them, and the scores."""
    values: dict[str, list[Any]] = {}
    for fields in rows:
        for name, value in fields.items():
            values.setdefault(name, []).append(_plain(value))
    settings = []
    for name, own in values.items():
        alike = own if len({type(value) for value in own}) == 1 else [str(value) for value in own]
        settings.append(hparams.HParam(name, hparams.Discrete(sorted(set(alike)))))
    metrics = [hparams.Metric(tag) for score in scores for tag in (f"{score}/val", f"test/{score}")]
    summary = hparams.hparams_config_pb(settings, metrics)
    content = HParamsPluginData.FromString(summary.value[0].metadata.plugin_data.content)
    for info in content.experiment.hparam_infos:
        info.differs = True  # else only the first five are shown
    summary.value[0].metadata.plugin_data.content = content.SerializeToString()
    return summary


def _write_settings(file: Path, name: str, made: Made) -> None:
    """Write what HPARAMS shows of a run."""
    own = hparams.hparams_pb({field: _plain(value) for field, value in made.fields.items()}, trial_id=name)
    with file.open("wb") as stream:
        writer = RecordWriter(stream)
        for summary in (made.listed, own):
            writer.write(Event(wall_time=time.time(), summary=summary).SerializeToString())


def _link(path: Path, folder: Path) -> None:
    """Link everything in a run directory. A run that continues replaces its event file."""
    for link in folder.iterdir():
        if not link.exists():
            link.unlink()
    with suppress(FileNotFoundError):  # the run has just been removed
        for entry in path.iterdir():
            if not (link := folder / entry.name).is_symlink():
                link.symlink_to(entry)
