"""What reports make of stored predictions."""

from pathlib import Path

import numpy as np
import pytest
from runs import write

from resnet_lab.report.analysis import analyse
from resnet_lab.report.collect import collect
from resnet_lab.report.comparison import compare
from resnet_lab.report.image_noise import ImageNoise
from resnet_lab.report.question import Question
from resnet_lab.report.sentences import sentences
from resnet_lab.report.statistics.images import components, difference
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.predictions import Predictions, write_predictions

LABELS = np.arange(200) % 10
RNG = np.random.default_rng(0)


def sweep(root: Path, shares: dict[str, float], seeds: int = 3, always_wrong: int = 4) -> dict[str, np.ndarray]:
    """Runs that get a share of the images wrong, and some images always; return what is wrong (seeds, N)."""
    found = {}
    for shortcut, share in shares.items():
        rows = RNG.random((seeds, 200)) < share
        rows[:, :always_wrong] = True
        for seed, wrong in enumerate(rows):
            path = write(root / f"{shortcut}{seed}", seed, 100 * wrong.mean(), axes={"shortcut": shortcut})
            predictions = Predictions(index=np.arange(200), label=LABELS, predicted=(LABELS + wrong) % 10)
            write_predictions(RunDirectory(path).predictions_file, {("test", "last"): predictions})
        found[shortcut] = rows
    return found


def noise_of(root: Path) -> tuple[ImageNoise, list[str]]:
    [comparison] = compare(collect([root]).done)
    analysis = analyse(1, comparison, Question(by_test=True))
    assert analysis.images
    return analysis.images, sentences(analysis)


def test_noise_over_runs_and_images_is_that_of_the_stored_predictions(tmp_path: Path):
    wrong = sweep(tmp_path, {"none": 0.3, "projection": 0.1})
    found, said = noise_of(tmp_path)
    assert (found.images, found.runs) == (200, 6)
    assert list(found.errors) == ["shortcut=projection", "shortcut=none"]
    assert found.errors["shortcut=none"] == components(100.0 * wrong["none"])
    gap = difference(100.0 * wrong["none"], 100.0 * wrong["projection"])
    assert found.above_best == {"shortcut=none": gap}
    assert gap.mean == pytest.approx(100 * (wrong["none"].mean() - wrong["projection"].mean()))
    assert set(range(4)) <= set(found.hard)
    assert found.within
    same = [(wrong["projection"][i] == wrong["projection"][j]).mean() for i, j in ((0, 1), (0, 2), (1, 2))]
    assert found.within.same == pytest.approx(np.mean(same))
    assert any("over runs" in sentence and "over images" in sentence for sentence in said)


def test_one_run_has_no_interval_over_seeds(tmp_path: Path):
    sweep(tmp_path, {"none": 0.3}, seeds=1)
    _, said = noise_of(tmp_path)
    assert any(sentence.startswith("one run has no interval over seeds: train several") for sentence in said)
    [noise] = [sentence for sentence in said if sentence.startswith("with other images: ")]
    assert "over runs" not in noise
    assert not any("other seeds" in sentence for sentence in said)


def test_runs_without_predictions_and_damaged_ones_are_left_out(tmp_path: Path):
    sweep(tmp_path, {"none": 0.3, "projection": 0.1})
    RunDirectory(tmp_path / "none0").predictions_file.unlink()
    RunDirectory(tmp_path / "none1").predictions_file.write_bytes(b"PK")
    assert noise_of(tmp_path)[0].runs == 4


def test_nothing_is_said_without_any(tmp_path: Path):
    for seed in range(2):
        write(tmp_path / str(seed), seed)
    [comparison] = compare(collect([tmp_path]).done)
    assert analyse(1, comparison, Question()).images is None


def test_the_lowest_of_many_equal_errors_is_too_low(tmp_path: Path):
    sweep(tmp_path, dict.fromkeys(("none", "projection", "conv", "dropout", "zero_pad"), 0.2), seeds=1)
    found, _ = noise_of(tmp_path)
    assert found.optimism is not None
    assert 0.5 < found.optimism < 5


def test_images_of_another_data_set_are_others_though_their_rows_are_the_same(tmp_path: Path):
    sweep(tmp_path, {"none": 0.3, "projection": 0.1})
    for seed in range(3):
        other = Predictions(index=np.arange(200), label=LABELS[::-1], predicted=LABELS[::-1])
        write_predictions(RunDirectory(tmp_path / f"none{seed}").predictions_file, {("test", "last"): other})
    assert list(noise_of(tmp_path)[0].errors) == ["shortcut=projection"]


def test_one_image_has_no_noise(tmp_path: Path):
    for seed in range(2):
        one = Predictions(index=np.arange(1), label=LABELS[:1], predicted=LABELS[:1])
        path = write(tmp_path / str(seed), seed, 0.0)
        write_predictions(RunDirectory(path).predictions_file, {("test", "last"): one})
    [comparison] = compare(collect([tmp_path]).done)
    assert analyse(1, comparison, Question(by_test=True)).images is None


def test_agreement_is_that_on_images_also_of_a_single_group(tmp_path: Path):
    sweep(tmp_path, {"none": 0.3})
    [said] = [sentence for sentence in noise_of(tmp_path)[1] if "two runs of it agree on" in sentence]
    assert " % of the images; all 3 runs get" in said
