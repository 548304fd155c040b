"""What the runs of a comparison have in common, and where they differ: data, recipe, machine, code."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from resnet_lab.config.canonical import Settings
from resnet_lab.report.axes import SPLITS
from resnet_lab.report.values import Fields, label, text
from resnet_lab.rundir.stored_runs import StoredRun
from resnet_lab.text import brief, plural, visible

MOST_VALUES = 4  # of one line


@dataclass(frozen=True, slots=True)
class Line:
    """One part of the setting; `several` if runs differ in it."""

    name: str
    value: str
    several: bool


def setting(runs: Iterable[StoredRun], axes: Iterable[str]) -> list[Line]:
    """Describe the setting of the runs; axes are left out."""
    axes = set(axes)
    own = [(run, {name: v for name, v in run.settings.items() if name not in axes}) for run in runs]
    following = {name for name in SPLITS if _follows_seed([(run.config.seed, s.get(name)) for run, s in own])}
    found: dict[str, Counter[str]] = {}
    for run, settings in own:
        for name, value in _parts(run, settings, axes, following).items():
            found.setdefault(name, Counter())[value] += 1
    return [_line(name, values) for name, values in found.items()]


def _follows_seed(pairs: Sequence[tuple[int, object]]) -> bool:
    return len(set(pairs)) > 1 and all(seed == value for seed, value in pairs)


def _line(name: str, values: Counter[str]) -> Line:
    if len(values) == 1:
        return Line(name, visible(brief(*values)) or "not recorded", False)
    shown = [
        f"{value or 'not recorded'} ({plural(number, 'run')})" for value, number in values.most_common(MOST_VALUES)
    ]
    more = [f"{len(values) - MOST_VALUES} more"] if len(values) > MOST_VALUES else []
    return Line(name, visible(brief("; ".join([*shown, *more]))), True)


def _parts(run: StoredRun, settings: Settings, axes: set[str], following: set[str]) -> dict[str, str]:
    """Return the parts of one run; empty where it has none or did not record it. Splits `following` the seed say so."""
    result = run.result
    splits = {
        name.partition(".")[2]: "seed" if name in following else settings[name] for name in SPLITS if name in settings
    }

    def section(name: str, without: tuple[str, ...] = ()) -> str:
        own: Fields = {key.partition(".")[2]: v for key, v in settings.items() if key.startswith(f"{name}.")}
        return label({key: tuple(v) if isinstance(v, list) else v for key, v in own.items() if key not in without})

    sizes = result["images"].get("images") or {}
    return {
        "data": section("data", without=("split_seed", "test_split_seed", "mean", "std", "fingerprint")),
        run.config.data.things: ", ".join(f"{number:,} {part}" for part, number in sizes.items()),
        "split": label(splits),
        "recipe": section("optim"),
        "augmentation": section("augment") or "none",
        "epochs": "" if "trainer.max_epochs" in axes else str(result["epochs"]),
        "max_batches": "none" if settings.get("trainer.max_batches") is None else text(settings["trainer.max_batches"]),
        "precision": "" if "trainer.precision" in axes else result["precision"],
        "device": result["device"],
        "versions": label(result.get("versions") or {}),
        "commit": (result.get("git_commit") or "")[:12]
        + ("+" if (result.get("git_commit") or "").endswith("+") else ""),
    }
