"""`resnet-lab runs [PATH]`: what runs there are, how to make one again, and which checkpoints can go."""

import argparse
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.filesize import decimal
from rich.table import Table

from resnet_lab import command
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.tasks import Scoring
from resnet_lab.rundir.directory import RunDirectory, RunLocked
from resnet_lab.rundir.identity import identity
from resnet_lab.rundir.reading import Unreadable, checked_result, read_json, state_of, walk
from resnet_lab.rundir.states import State
from resnet_lab.text import plain_console, printable

REASONS = {
    "done": "the run is done: it can no longer be inspected",
    "repeated": "the same run is done elsewhere under PATH",
    "superseded": "the run is not done, but the same run is elsewhere under PATH",
}
WIDTH = 250  # characters, where the output is not a terminal: no path is cut


@dataclass(frozen=True, slots=True)
class Listed:
    """A run directory at a glance; sizes in bytes, `changed` in seconds since 1970."""

    path: Path
    state: str  # one of State, or "damaged"
    epochs: int | None
    score: str
    size: int
    checkpoints: int
    changed: float


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    made = command.parser("runs")
    made.add_argument("path", nargs="?", type=Path, default=Path("outputs"), metavar="PATH", help="default: outputs")
    made.add_argument("--commands", action="store_true", help="print the command that makes each run again")
    reasons = "; ".join(f"{name}, {meaning}" for name, meaning in REASONS.items())
    prune = f"remove checkpoints and nothing else, by REASON (default: repeated superseded): {reasons}"
    made.add_argument("--prune", nargs="*", choices=[*REASONS], metavar="REASON", help=prune)
    made.add_argument("--yes", action="store_true", help="do not ask before checkpoints are removed")
    return made


def main(arguments: Sequence[str]) -> int:
    """List runs, or remove checkpoints. Raises ConfigError when there are no runs, or there is nobody to ask."""
    options = parser().parse_intermixed_args(arguments)
    folder: Path = options.path.resolve()
    if not folder.is_dir():
        raise ConfigError(f"{options.path} is not a directory")
    listed = [look(path) for path in sorted(path for path, is_run in walk(folder) if is_run)]
    if not listed:
        raise ConfigError(f"no run directories under {options.path}")
    if options.prune is not None:
        prune(listed, options.prune or ["repeated", "superseded"], options.yes)
    elif options.commands:
        print(*(command_for(run.path) for run in listed), sep="\n")
    else:
        plain_console(WIDTH).print(table(listed, folder))
        print(f"{len(listed)} in {printable(str(options.path))}, {decimal(sum(run.size for run in listed))}")
        if [run.path for run in listed] == [folder]:
            print(f"again: {command_for(folder)}")
    return 0


def look(path: Path) -> Listed:
    """What there is to say of a run without its configuration, which would take most of the time."""
    directory = RunDirectory(path)
    files = [entry for entry in path.iterdir() if entry.is_file()]
    checkpoints = size([directory.last, directory.best])
    whole = size(files) + checkpoints
    changed = max((file.stat().st_mtime for file in files), default=0.0)
    try:
        status = read_json(directory.status_file)
        state, _ = state_of(status)
        changed = datetime.fromisoformat(status["time"]).timestamp()
        if state is not State.done:
            return Listed(path, state, status.get("epochs"), "", whole, checkpoints, changed)
        result = checked_result(read_json(directory.result_file))
    except (Unreadable, KeyError, TypeError, ValueError):
        return Listed(path, "damaged", None, "", whole, checkpoints, changed)
    scoring = Scoring.of(result)
    value = result["last"][f"test_{scoring.score}"]
    score = "" if value is None else f"{scoring.score} {scoring.text(value)}"
    return Listed(path, state, result["epochs"], score, whole, checkpoints, changed)


def size(files: Iterable[Path]) -> int:
    """Bytes on the disk, once for a file with two names, which `best.ckpt` and `last.ckpt` may be."""
    found = {(stat.st_dev, stat.st_ino): stat.st_size for stat in (file.stat() for file in files if file.exists())}
    return sum(found.values())


def table(listed: Sequence[Listed], folder: Path) -> Table:
    """A row for each run."""
    made = Table("run", "state", box=None, pad_edge=False, header_style="bold")
    for name in ("epochs", "test", "size", "age"):
        made.add_column(name, justify="right", no_wrap=True)
    for run in listed:
        name = run.path.name if run.path == folder else str(run.path.relative_to(folder))
        epochs = "" if run.epochs is None else str(run.epochs)
        made.add_row(printable(name), run.state, epochs, run.score, decimal(run.size), age(run.changed))
    return made


def age(changed: float) -> str:
    """How long ago that was, in the largest unit that fits."""
    seconds = max(0.0, time.time() - changed)
    units = (("d", 86_400), ("h", 3_600), ("min", 60))
    return next((f"{seconds / length:.0f} {unit}" for unit, length in units if seconds >= length), f"{seconds:.0f} s")


def command_for(path: Path) -> str:
    """The command that makes a run again, or a comment that says why there is none."""
    from resnet_lab.config.overrides import overrides_of  # Hydra, which the list does not need

    try:
        return shlex.join(["resnet-lab", *overrides_of(RunDirectory(path).stored_config())])
    except ConfigError as error:
        return f"# {path}: {' '.join(str(error).split())}"


def prune(listed: Sequence[Listed], reasons: Sequence[str], yes: bool) -> None:
    """Remove checkpoints of runs that nobody needs to continue; ask before, unless `yes`. Raises ConfigError."""
    found = [(run, why) for run, why in prunable(listed) if why in reasons]
    if not found:
        print(f"no checkpoints are {' or '.join(reasons)}")
        return
    for run, why in found:
        print(f"{printable(str(run.path))}: {why}, {decimal(run.checkpoints)}")
    if not yes and not sys.stdin.isatty():
        raise ConfigError("--prune asks before it removes anything, and there is no terminal: add --yes")
    if not yes and input(f"remove the checkpoints of these {len(found)}? [y/N] ").strip().lower() not in ("y", "yes"):
        return
    for run, _ in found:
        directory = RunDirectory(run.path)
        try:
            with directory.locked():
                directory.last.unlink(missing_ok=True)
                directory.best.unlink(missing_ok=True)
        except RunLocked as locked:
            print(f"left as it is: {locked}")


def prunable(listed: Sequence[Listed]) -> list[tuple[Listed, str]]:
    """Runs that have checkpoints, and by which of REASONS these can go. A damaged or running run is left alone."""
    keys = {run.path: _identity(run) for run in listed if run.checkpoints and run.state not in ("damaged", "running")}
    latest: dict[str, Path] = {}  # of runs that are the same and done
    for run in sorted(listed, key=lambda run: -run.changed):
        if run.state == State.done and keys.get(run.path):
            latest.setdefault(keys[run.path], run.path)
    found = []
    for run in listed:
        key = keys.get(run.path)
        if key and run.state == State.done:
            found.append((run, "done" if latest[key] == run.path else "repeated"))
        elif key in latest:
            found.append((run, "superseded"))
    return found


def _identity(run: Listed) -> str:
    try:
        return identity(RunDirectory(run.path).stored_config())
    except ConfigError:
        return ""


if __name__ == "__main__":
    command.run_command(main)
