"""When runs reached a target, and what they had spent until then."""

from pathlib import Path

import numpy as np
import pytest
from runs import write

from resnet_lab.config.tasks import CLASSIFICATION
from resnet_lab.report import findings
from resnet_lab.report.spent import reached, spent
from resnet_lab.rundir.stored_runs import StoredRun, read_run


def run(root: Path, seed: int, scores: list[float | None]) -> StoredRun:
    history = [
        {"epoch": i, "step": 10 * i, "seconds": 0.5, "train/error": 1.0, "val/error": score}
        for i, score in enumerate(scores, 1)
    ]
    images = {"images": {"train": 100}}
    return read_run(write(root / str(seed), seed, history=history, images=images, epochs=len(scores)))


def test_what_was_spent_adds_up(tmp_path: Path):
    own = spent(run(tmp_path, 0, [9.0, 8.0, 7.0]))
    assert own["epoch"].tolist() == [1, 2, 3]
    assert own["step"].tolist() == [10, 20, 30]
    assert own["seconds"].tolist() == [0.5, 1.0, 1.5]
    assert own["macs"].tolist() == [60_000 * 100 * epoch for epoch in (1, 2, 3)]


def test_first_and_for_good(tmp_path: Path):
    """Of three runs one never gets there; the median is the later one of the others."""
    curves = ([9, 7, 9, 7, 6], [9, 9, 8, 7, 6], [9, 9, 9, 9, 9])
    found = reached([run(tmp_path, i, [*map(float, curve)]) for i, curve in enumerate(curves)], "error", 8)
    assert (found.runs, found.reached) == (3, 2)
    assert found.first["epoch"] == 3
    assert found.stayed["epoch"] == 4
    assert (found.first["step"], found.first["seconds"]) == (30, 1.5)


def test_most_runs_must_get_there_for_a_median(tmp_path: Path):
    found = reached([run(tmp_path, i, [9.0, last]) for i, last in enumerate((7.0, 9.0, 9.0))], "error", 8)
    assert (found.reached, found.first["epoch"]) == (1, None)


def test_a_run_without_validation_reaches_nothing(tmp_path: Path):
    found = reached([run(tmp_path, 0, [None, None])], "error", 8)
    assert (found.reached, found.first["epoch"]) == (0, None)
    assert np.isnan(spent(read_run(write(tmp_path / "old")))["step"]).all()


@pytest.mark.parametrize("target", [9.0, 20.0])
def test_the_target_itself_counts_as_reached(tmp_path: Path, target: float):
    found = reached([run(tmp_path, 0, [9.0, 8.0])], "error", target)
    assert found.first["epoch"] == found.stayed["epoch"] == 1


def test_target_is_asked_for_even_if_it_is_zero(tmp_path: Path):
    runs = {"a": run(tmp_path, 0, [1.0, 0.0]), "b": run(tmp_path, 1, [1.0, 1.0]), "c": run(tmp_path, 2, [None])}
    said = findings.target({name: reached([own], "error", 0) for name, own in runs.items()}, 0, CLASSIFICATION.scoring)
    assert [sentence.split(" reached")[0] for sentence in said[:2]] == ["1 of 1 runs of a", "0 of 1 runs of b"]
    assert said[2] == "no run of c has recorded validation errors"
