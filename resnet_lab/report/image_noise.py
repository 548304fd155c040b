"""The noise of the images that scores are measured on, from the predictions that runs store."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resnet_lab.config.tasks import Scoring
from resnet_lab.report.comparison import Group
from resnet_lab.report.statistics.images import (
    Agreement,
    Estimate,
    agreement,
    components,
    difference,
    hard_images,
    optimism,
)
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.predictions import Integers, Predictions, read_predictions
from resnet_lab.rundir.safe import Unreadable
from resnet_lab.rundir.stored_runs import StoredRun

ROUNDED = 1e-3  # relative error of a mean of penalties, which are stored in float32
MOST_GROUPS = 20  # with the best means; predictions of hundreds of runs take long to read


@dataclass(frozen=True, slots=True)
class ImageNoise:
    """What the predictions of groups for the same images say, in the unit of the score; the best group first."""

    images: int
    runs: int  # whose predictions were read
    errors: dict[str, Estimate]
    above_best: dict[str, Estimate]  # error of each other group minus that of the best, on the same images
    within: Agreement | None  # of two runs of the best group
    between: Agreement | None  # of a run of the best group and one of the second
    hard: list[int]  # rows of the data set's images that all runs get wrong, in one attribute at least
    optimism: float | None  # by how much the lowest error is too low, if it was chosen by these images


def image_noise(groups: Sequence[Group], measure: str) -> ImageNoise | None:
    """Read the predictions of the groups' runs, the best group first; None without those of two images or more."""
    part, when = measure.split("_")
    found: dict[str, list[Predictions]] = {}
    for group in groups[:MOST_GROUPS]:
        stored = [_read(run, part, when) for run in group.runs.values()]
        found[group.label] = [one for one in stored if one is not None]
    first = next((one for stored in found.values() for one in stored), None)
    if first is None or len(first.index) < 2:
        return None
    # Runs with another split or data set were tested on other images, and cannot be compared image by image.
    alike = {
        name: [one for one in stored if _same(one.index, first.index) and _same(one.label, first.label)]
        for name, stored in found.items()
    }
    errors = {
        name: np.stack([one.each for one in stored if one.each is not None]) for name, stored in alike.items() if stored
    }
    best, *others = errors
    everyone = np.concatenate([*errors.values()])
    within = between = None
    hard = np.array([], np.int64)
    if first.label is not None:
        predicted = [_stacked(alike[name]) for name in (best, *others[:1])]
        within = agreement(predicted[0], first.label)
        between = agreement(predicted[0], first.label, predicted[1]) if others else None
        hard = hard_images(everyone > 0)
    return ImageNoise(
        images=len(first.index),
        runs=len(everyone),
        errors={name: components(own) for name, own in errors.items()},
        above_best={name: difference(errors[name], errors[best]) for name in others},
        within=within,
        between=between,
        hard=[int(row) for row in first.index[hard]],
        optimism=optimism(np.stack([own.mean(axis=0) for own in errors.values()])) if others else None,
    )


def _stacked(stored: Sequence[Predictions]) -> Integers:
    return np.stack([one.predicted for one in stored if one.predicted is not None])


def _same(one: Integers | None, other: Integers | None) -> bool:
    """Return whether both are equal, or missing."""
    return np.array_equal(one, other) if one is not None and other is not None else one is other


def _read(run: StoredRun, part: str, when: str) -> Predictions | None:
    """Return what a run stored, if its score is a mean over images, which theirs then explain."""
    try:
        found = read_predictions(RunDirectory(run.path).predictions_file, part, when)
    except (Unreadable, OSError):
        return None  # of a version that stored none, switched off, or damaged
    if found.wrong is not None or found.each is None:
        return found if found.wrong is not None else None
    score = run.result[when][f"{part}_{Scoring.of(run.result).score}"]
    return found if math.isclose(found.each.mean(), score, rel_tol=ROUNDED) else None
