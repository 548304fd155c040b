"""`resnet-lab runs [PATH]`: list runs, print commands to repeat them, remove checkpoints that are not needed."""

import argparse
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.filesize import decimal
from rich.table import Table

from resnet_lab import command
from resnet_lab.config.checks import ConfigError, require_folder
from resnet_lab.config.tasks import Scoring
from resnet_lab.rundir.directory import RunDirectory, RunLocked
from resnet_lab.rundir.identity import identity
from resnet_lab.rundir.json_schemas import read_result, read_status
from resnet_lab.rundir.safe import Unreadable
from resnet_lab.rundir.states import State
from resnet_lab.rundir.stored_runs import state_of, walk
from resnet_lab.text import brief, plain_console, plural, printable, shell_quoted, visible

REASONS = {
    "done": "the run is done (but resnet-lab inspect needs its checkpoints)",
    "repeated": "a more recent copy of the same run is done elsewhere under PATH",
    "superseded": "the run is not done, but the same run is done elsewhere under PATH",
}
WIDTH = 250  # characters if the output is not a terminal, so that no path is cut


@dataclass(frozen=True, slots=True)
class Listed:
    """Summary of a run directory; sizes in bytes, `changed` in seconds since 1970."""

    path: Path
    state: str  # one of State, or "damaged"
    epochs: int | None
    score: str
    size: int
    checkpoints: int
    changed: float


def parser() -> argparse.ArgumentParser:
    """Return the parser for the command's options."""
    made = command.parser("runs")
    made.add_argument("path", nargs="?", type=Path, default=Path("outputs"), metavar="PATH", help="default: outputs")
    made.add_argument("--commands", action="store_true", help="print the command that repeats each run")
    reasons = "; ".join(f"{name}: {meaning}" for name, meaning in REASONS.items())
    prune = "remove the checkpoints, and nothing else, of runs to which a REASON applies (default: repeated superseded)"
    made.add_argument("--prune", nargs="*", choices=[*REASONS], metavar="REASON", help=f"{prune}. {reasons}")
    made.add_argument("--yes", action="store_true", help="remove checkpoints without asking")
    return made


def main(arguments: Sequence[str]) -> int:
    """List runs, print commands or prune. Raises ConfigError if there are no runs or it cannot ask."""
    made = parser()
    options = made.parse_args(arguments)
    if options.yes and options.prune is None:
        made.error("--yes needs --prune")
    require_folder(options.path)
    folder = options.path.resolve()
    listed = [look(path) for path in sorted(path for path, is_run in walk(folder) if is_run)]
    if not listed:
        raise ConfigError(f"no run directories under {options.path}")
    if options.prune is not None:
        prune(listed, options.prune or ["repeated", "superseded"], options.yes)
    elif options.commands:
        print(*(command_for(run.path) for run in listed), sep="\n")
    else:
        plain_console(WIDTH).print(table(listed, folder))
        size_of_all = decimal(sum(run.size for run in listed))
        print(f"{plural(len(listed), 'run')} in {printable(str(options.path))}, {size_of_all}")
        if [run.path for run in listed] == [folder]:
            print(f"to repeat: {command_for(folder)}")
    return 0


def look(path: Path) -> Listed:
    """Summarise a run without reading its configuration, which would take most of the time."""
    directory = RunDirectory(path)
    checkpoints, whole = size([directory.last, directory.best]), size(path.rglob("*"))
    changed = path.stat().st_mtime
    try:
        status = read_status(directory.status_file)
        state, _ = state_of(status)
        with suppress(ValueError, OverflowError, TypeError):
            changed = datetime.fromisoformat(status["time"]).timestamp()
        if state is not State.done:
            return Listed(path, state, status["epochs"], "", whole, checkpoints, changed)
        result = read_result(directory.result_file)
    except Unreadable:
        return Listed(path, "damaged", None, "", whole, checkpoints, changed)
    scoring = Scoring.of(result)
    value = result["last"][f"test_{scoring.score}"]
    score = "" if value is None else f"{scoring.score} {scoring.text(value)}"
    return Listed(path, state, result["epochs"], score, whole, checkpoints, changed)


def size(files: Iterable[Path]) -> int:
    """Return total bytes; hard links count once, since `best.ckpt` and `last.ckpt` may be the same file."""
    found = {}
    for file in files:
        with suppress(OSError):  # a temporary file of a running job, or a link to itself
            stat = file.stat()
            found[stat.st_dev, stat.st_ino] = stat.st_size if file.is_file() else 0
    return sum(found.values())


def table(listed: Sequence[Listed], folder: Path) -> Table:
    """Return a table with a row per run."""
    made = Table("run", "state", box=None, pad_edge=False, header_style="bold")
    for name in ("epochs", "test", "size", "age"):
        made.add_column(name, justify="right", no_wrap=True)
    for run in listed:
        name = run.path.name if run.path == folder else str(run.path.relative_to(folder))
        epochs = "" if run.epochs is None else str(run.epochs)
        made.add_row(printable(name), run.state, epochs, run.score, decimal(run.size), age(run.changed))
    return made


def age(changed: float) -> str:
    """Format the time since `changed` in the largest unit that fits."""
    seconds = max(0.0, time.time() - changed)
    units = (("d", 86_400), ("h", 3_600), ("min", 60))
    return next((f"{seconds // length:.0f} {unit}" for unit, length in units if seconds >= length), f"{seconds:.0f} s")


def command_for(path: Path) -> str:
    """Return the command that repeats a run, or a comment that says why there is none."""
    from resnet_lab.config.overrides import overrides_of  # imports Hydra, which the list does not need

    try:
        config = RunDirectory(path).stored_config()
        place = path.parents[2]  # where it lies now
        config.output_dir = str(place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place)
        return shell_quoted(["resnet-lab", *overrides_of(config)])
    except (ConfigError, UnicodeEncodeError) as error:
        return f"# {printable(str(path))}: {brief(' '.join(str(error).split()))}"


def prune(listed: Sequence[Listed], reasons: Sequence[str], yes: bool) -> None:
    """Remove checkpoints for the given reasons; ask first unless `yes`. Raises ConfigError if it cannot ask."""
    found = prunable(listed, reasons)
    if not found:
        print(f"no checkpoints to remove ({', '.join(reasons)})")
        return
    for run, why, _ in found:
        print(f"{printable(str(run.path))}: {why}, {decimal(run.checkpoints)}")
    if not command.confirmed(f"remove the checkpoints of {plural(len(found), 'run')}?", "--prune", yes):
        return
    for run, _, kept in found:
        directory = RunDirectory(run.path)
        try:
            with directory.locked():
                if kept is None or RunDirectory(kept).last.exists():  # the kept copy may be gone by now
                    directory.last.unlink(missing_ok=True)
                    directory.best.unlink(missing_ok=True)
        except RunLocked as locked:
            print(visible(f"skipped: {locked}"))


def prunable(listed: Sequence[Listed], reasons: Sequence[str]) -> list[tuple[Listed, str, Path | None]]:
    """Return runs whose checkpoints can be removed, each with the reason and the directory of the kept copy, if any.

    Damaged and running runs are left alone. A kept copy must be done and have `last.ckpt`.
    """
    runs = [run for run in listed if run.checkpoints and run.state not in ("damaged", "running")]
    keys = {run.path: _identity(run) for run in runs}
    complete = [run for run in runs if run.state == State.done and RunDirectory(run.path).last.exists()]
    kept = {keys[run.path]: run.path for run in sorted(complete, key=lambda run: run.changed)}  # the latest
    found: list[tuple[Listed, str, Path | None]] = []
    for run in runs:
        other = kept.get(keys[run.path])
        exchanged = other and RunDirectory(other).checkpoints.resolve() != RunDirectory(run.path).checkpoints.resolve()
        why = "repeated" if run.state == State.done else "superseded"
        if keys[run.path] and exchanged and why in reasons:
            found.append((run, why, other))
        elif run.state == State.done and "done" in reasons:
            found.append((run, "done", None))
    return found


def _identity(run: Listed) -> str:
    """Return what makes two runs the same; empty if the configuration cannot be read."""
    try:
        return identity(RunDirectory(run.path).stored_config())
    except ConfigError:
        return ""


if __name__ == "__main__":
    command.run_command(main)
