"""The noise of the images that scores are measured on, from the predictions that runs store."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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

MOST_GROUPS = 20  # with the best means; predictions of hundreds of runs take long to read


@dataclass(frozen=True, slots=True)
class ImageNoise:
    """What the predictions of groups for the same images say; errors in percent, the best group first."""

    images: int
    runs: int  # whose predictions were read
    errors: dict[str, Estimate]
    above_best: dict[str, Estimate]  # error of each other group minus that of the best, on the same images
    within: Agreement | None  # of two runs of the best group
    between: Agreement | None  # of a run of the best group and one of the second
    hard: list[int]  # rows of the data set's images that all runs get wrong
    optimism: float | None  # by how much the lowest error is too low, if it was chosen by these images


def image_noise(groups: Sequence[Group], measure: str) -> ImageNoise | None:
    """Read the predictions of the groups' runs, the best group first; None without classes of two images or more."""
    part, when = measure.split("_")
    found: dict[str, list[Predictions]] = {}
    for group in groups[:MOST_GROUPS]:
        stored = [_read(run, part, when) for run in group.runs.values()]
        found[group.label] = [one for one in stored if one is not None]
    first = next((one for stored in found.values() for one in stored), None)
    if first is None or first.label is None or len(first.index) < 2:
        return None
    # Runs with another split or data set were tested on other images, and cannot be compared image by image.
    alike = {
        name: [one for one in stored if _same(one.index, first.index) and _same(one.label, first.label)]
        for name, stored in found.items()
    }
    predicted = {
        name: np.stack([one.predicted for one in stored if one.predicted is not None])
        for name, stored in alike.items()
        if stored
    }
    wrong = {name: own != first.label for name, own in predicted.items()}
    best, *others = wrong
    percent = {name: 100.0 * own for name, own in wrong.items()}
    everyone = np.concatenate([*wrong.values()])
    return ImageNoise(
        images=len(first.index),
        runs=len(everyone),
        errors={name: components(own) for name, own in percent.items()},
        above_best={name: difference(percent[name], percent[best]) for name in others},
        within=agreement(predicted[best], first.label),
        between=agreement(predicted[best], first.label, predicted[others[0]]) if others else None,
        hard=[int(row) for row in first.index[hard_images(everyone)]],
        optimism=optimism(np.stack([own.mean(axis=0) for own in percent.values()])) if others else None,
    )


def _same(one: Integers | None, other: Integers | None) -> bool:
    return one is not None and other is not None and np.array_equal(one, other)


def _read(run: StoredRun, part: str, when: str) -> Predictions | None:
    try:
        found = read_predictions(RunDirectory(run.path).predictions_file, part, when)
    except (Unreadable, OSError):
        return None  # of a version that stored none, switched off, or damaged
    return found if found.wrong is not None else None
