"""The cells of a comparison, and the same table on the terminal, as CSV and as JSON."""

import csv
import dataclasses
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from resnet_lab.report import words
from resnet_lab.report.analysis import COSTS, MEASURES, Analysis, Row, interval, score
from resnet_lab.report.collect import Collected
from resnet_lab.report.details import details
from resnet_lab.report.sentences import basis
from resnet_lab.report.statistics.procedures import Difference
from resnet_lab.rundir.stored_runs import StoredRun
from resnet_lab.text import short_number, visible

PARTS = {"test": "test", "val": "validation"}  # in headings
MANY = 2_000  # pairs in report.json; pairs.csv has all
COLUMNS = ("published", "depth", "params", "MACs", "activations", "seconds", "memory", "front")
SHORT = {"macs": "MACs", "peak_memory": "memory"}  # costs that are shown under another name


def headings(analysis: Analysis) -> list[str]:
    """Return the headings of a comparison: the group, the score it is compared by, the other scores, and the costs."""
    compared_by = _heading(analysis.measure, analysis.comparison.scoring.score)
    return [
        "group",
        "n",
        compared_by,
        heading_of_difference(analysis),
        "sd",
        "median",
        *map(_heading, _others(analysis)),
        *COLUMNS,
    ]


def heading_of_difference(analysis: Analysis) -> str:
    """Return what the column of `to_other` is called."""
    return "to the best" if analysis.baseline is None else f"to {analysis.baseline}"


def cells(analysis: Analysis, row: Row) -> list[tuple[str, float | None]]:
    """Format the cells of a row in the order of the headings, each with the number that it is sorted by, if any."""

    def shown(value: float | None) -> tuple[str, float | None]:
        return "" if value is None else row.scoring.number(value), value

    def mean(measure: str) -> tuple[str, float | None]:
        summary = row.scores[measure] if analysis.shows(row, measure) else None
        return interval(summary, row.scoring), summary.mean if summary else None

    summary = row.scores[analysis.measure]
    return [
        (row.group.label, None),
        (str(summary.n if summary else 0), len(row.group.runs)),
        mean(analysis.measure),
        to_other(analysis, row),
        shown(summary.std if summary else None),
        shown(summary.median if summary else None),
        *map(mean, _others(analysis)),
        shown(row.published),
        (f"{row.depth:g}", row.depth),
        *((short_number(row.costs.get(cost)), row.costs.get(cost)) for cost in COSTS),
        (", ".join(SHORT.get(cost, cost) for cost in row.fronts), None),
    ]


def to_other(analysis: Analysis, row: Row) -> tuple[str, float | None]:
    """Format the difference from the best, or from the baseline, with its simultaneous interval."""
    found = analysis.difference(row)
    if found is not None and found.group == found.other:
        sole = not any(d.low <= 0 for d in analysis.differences if d is not found)
        return "the best" if sole else "the lowest", 0.0
    if found is None or not (found.resolved or math.isfinite(found.high - found.low)):
        return "", None
    mean, high = (analysis.scale.number(value) for value in (found.mean, found.high))
    low = words.lower_end(found, analysis.scale)
    interval = f"{low} to {high}" if found.resolved else f"{low} to {high}: unresolved"
    return f"{mean} ({interval})", found.mean


def _heading(measure: str, score: str = "") -> str:
    part, when = measure.split("_")
    return f"{f'{PARTS[part]} {score}'.rstrip()}, {when}"


def _others(analysis: Analysis) -> list[str]:
    return [measure for measure in MEASURES if measure != analysis.measure]


def troubles(found: Collected, analyses: Sequence[Analysis]) -> list[str]:
    """List what is missing or incomplete: unfinished runs, damaged directories, missing seeds."""
    rows = [(analysis, row) for analysis in analyses for row in analysis.rows]
    said = [] if found.done else ["no run has finished yet"]
    for run in found.unfinished:
        why = " ".join(run.why.split())
        said.append(f"{run.path}: {run.state}" + (f" ({why})" if why else ""))
    said += found.not_begun
    for analysis, row in rows:
        unknown = [run.path for run in row.group.runs.values() if score(run, analysis.measure) is None]
        name = f"{PARTS[analysis.measure.split('_')[0]]} {row.scoring.score}"
        said += [f"{path}: its {name} is not a number" for path in unknown]
    said += [f"{damaged.path}: damaged, skipped ({damaged.why})" for damaged in found.damaged]
    said += [
        f"{analysis.comparison.title}: {row.group.label} lacks {', '.join(row.group.missing)}"
        for analysis, row in rows
        if row.group.missing
    ]
    said += filter(None, [found.skipped])
    return [*map(visible, said)]


def relpath(path: Path, out: Path) -> str:
    """Return a run directory relative to `out`, so that both can be moved together."""
    return os.path.relpath(path, out.resolve())


def link(path: Path, out: Path) -> str:
    """Return the relative path of a run directory as a URL."""
    return quote(os.fsencode(relpath(path, out)))


def write_csv(path: Path, analyses: Iterable[Analysis]) -> None:
    """Write one line per group, in full precision."""
    parts = ("mean", "std", "median", "n", "half")
    measures = [f"{measure}_{part}" for measure in MEASURES for part in parts]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["comparison", "group", "runs", "depth", *measures, "published_error", *COSTS, "fronts"])
        for analysis in analyses:
            for row in analysis.rows:
                identity = [analysis.comparison.title, row.group.label, len(row.group.runs), row.depth]
                summaries = row.scores.values()  # None without a score
                scores = [getattr(summary, part, None) for summary in summaries for part in parts]
                costs = [row.costs.get(cost) for cost in COSTS]
                writer.writerow([*identity, *scores, row.published, *costs, " ".join(row.fronts)])


def write_json(path: Path, found: Collected, analyses: Sequence[Analysis]) -> None:
    """Write everything by comparison, group and run; paths of runs are relative to the file."""
    content = {
        "basis": basis(analyses),
        "comparisons": [
            {
                "title": analysis.comparison.title,
                "axes": analysis.comparison.axes,
                "compared_by": analysis.measure,
                "groups": list(_groups(analysis, path.parent)),
                "setting": {line.name: line.value for line in analysis.setting},
                "logarithmic": analysis.scale.logarithmic,
                "baseline": analysis.baseline,
                "differences": [_difference(analysis, d) for d in analysis.differences],
                "pairs": [_difference(analysis, d) for d in analysis.pairs] if len(analysis.pairs) <= MANY else None,
                "effects": [_finite(dataclasses.asdict(found)) for found in analysis.effects],
                "images": _finite(dataclasses.asdict(analysis.images)) if analysis.images else None,
                "target": {name: dataclasses.asdict(found) for name, found in analysis.reached.items()} or None,
                "population": _population(analysis),
                "power_laws": [dataclasses.asdict(law) for law in analysis.laws],
                "interactions": [dataclasses.asdict(found) for found in analysis.interactions],
                "notes": analysis.comparison.notes,
            }
            for analysis in analyses
        ],
        "unfinished": [
            {"path": relpath(run.path, path.parent), "state": run.state, "why": run.why} for run in found.unfinished
        ],
        "damaged": [{"path": relpath(damaged.path, path.parent), "why": damaged.why} for damaged in found.damaged],
    }
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_pairs(path: Path, analyses: Iterable[Analysis]) -> None:
    """Write one line per pair of groups, in full precision."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["comparison", "group", "other", "mean", "low", "high", "p", "resolved"])
        for analysis in analyses:
            for d in analysis.pairs:
                writer.writerow([analysis.comparison.title, d.group, d.other, d.mean, d.low, d.high, d.p, d.resolved])


def _difference(analysis: Analysis, found: Difference) -> dict[str, Any]:
    """Return a difference as JSON; ends of its interval are None if no test is possible."""
    said = words.difference(found, analysis.scale, analysis.margin)
    return _finite(dataclasses.asdict(found)) | {"resolved": found.resolved, "words": said}


def _population(analysis: Analysis) -> dict[str, Any] | None:
    """Return what is known of a population besides its groups."""
    if (found := analysis.population) is None:
        return None
    compared = dataclasses.asdict(found.spaces_compared) if found.spaces_compared else None
    settings = [dataclasses.asdict(one) for one in found.settings]
    importance = dataclasses.asdict(found.importance) if found.importance else None
    return {"settings": settings, "importance": importance, "spaces": compared}


def _finite(value: Any) -> Any:
    """Replace numbers that JSON does not have by None."""
    if isinstance(value, dict):
        return {name: _finite(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(own) for own in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _groups(analysis: Analysis, out: Path) -> Iterator[dict[str, Any]]:
    for row in analysis.rows:
        yield {
            "group": row.group.label,
            "fields": row.group.fields,
            "depth": row.depth,
            "errors": {name: dataclasses.asdict(s) if s else None for name, s in row.scores.items()},
            "details": {name: dataclasses.asdict(s) for name, s in details(row.group).items()},
            "costs": row.costs,
            "wall": row.wall,
            "fronts": row.fronts,
            "published_error": row.published,
            "missing": row.group.missing,
            "runs": [
                {"run": block, "path": relpath(run.path, out), **{m: score(run, m) for m in MEASURES}, **_averaged(run)}
                for block, run in row.group.runs.items()
            ],
        }


def _averaged(run: StoredRun) -> dict[str, float]:
    """Return the scores of the averaged weights of a run; none if it did not average them."""
    return {f"{m}_ema": value for m in MEASURES if (value := score(run, m, "ema_")) is not None}
