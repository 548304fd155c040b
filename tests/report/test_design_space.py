"""Populations against independent formulas."""

from pathlib import Path

import numpy as np
import pytest
from runs import write
from scipy import stats

from resnet_lab.config.registry import TASKS
from resnet_lab.report import findings
from resnet_lab.report.analysis import analyse
from resnet_lab.report.collect import collect
from resnet_lab.report.comparison import compare
from resnet_lab.report.details import detail_tables
from resnet_lab.report.figures.plots import figures
from resnet_lab.report.question import Question
from resnet_lab.report.sentences import sentences
from resnet_lab.report.statistics.importance import importance
from resnet_lab.report.statistics.population import against, distribution, population, settings

ERROR = TASKS.info("classification").scoring
RNG = np.random.default_rng(0)


def test_the_band_holds_the_whole_distribution():
    held = 0
    for _ in range(400):
        values, shares, half = distribution(RNG.normal(0, 1, 60))
        gap = max(np.abs(shares - stats.norm.cdf(values)).max(), np.abs(shares - 1 / 60 - stats.norm.cdf(values)).max())
        held += gap <= half
    assert 0.94 <= held / 400 <= 0.995


def test_what_scores_depend_on_comes_first():
    fields = [{"units": int(u), "shortcut": s, "lr": float(lr)} for u, s, lr in zip(
        RNG.integers(1, 20, 100), RNG.choice(["none", "conv"], 100), RNG.uniform(0, 1, 100), strict=True)]  # fmt: skip
    scores = [20 - own["units"] / 2 + (3 if own["shortcut"] == "none" else 0) + RNG.normal() for own in fields]
    found = {one.name: one for one in settings(fields, scores)}
    assert [*found][-1] == "lr"
    raw = {name: stats.spearmanr([own[name] for own in fields], scores) for name in ("units", "lr")}
    assert found["units"].correlation == pytest.approx(raw["units"].statistic)
    assert found["lr"].p == pytest.approx(raw["lr"].pvalue)  # the largest, which Holm's method leaves as it is
    assert found["shortcut"].correlation is None
    assert found["shortcut"].p < 0.01
    assert found["shortcut"].everyone.startswith("conv ")


def test_a_setting_that_carries_the_score_has_nearly_all_importance():
    """Also one whose effect no rank correlation sees."""
    fields = [{"units": int(u), "shortcut": s, "lr": float(lr)} for u, s, lr in zip(
        RNG.integers(1, 20, 60), RNG.choice(["none", "conv"], 60), RNG.uniform(0, 1, 60), strict=True)]  # fmt: skip
    for name, scores in {
        "lr": [(own["lr"] - 0.5) ** 2 for own in fields],
        "shortcut": [5 + (own["shortcut"] == "none") + 0.1 * RNG.normal() for own in fields],
    }.items():
        found = population(fields, scores, {}, [""] * 60)
        assert found is not None
        assert found.importance is not None
        assert next(iter(found.importance.shares)) == name
        assert found.importance.shares[name] > 0.9
        assert found.importance.explained > 0.7
        assert any(f"held-out networks): {name} " in line for line in findings.population(found, ERROR))
    again = population(fields, scores, {}, [""] * 60)
    assert again is not None
    assert again.importance == found.importance


def test_of_noise_no_importance_is_told():
    fields = [
        {"units": int(units), "lr": float(lr)} for units, lr in zip(range(60), RNG.uniform(0, 1, 60), strict=True)
    ]
    found = population(fields, RNG.normal(5, 1, 60).tolist(), {}, [""] * 60)
    assert found is not None
    assert found.importance is not None
    assert not found.importance.shares
    said = "importance of settings is not given: the forest predicts no better than the mean"
    assert said in findings.population(found, ERROR)
    assert not importance({"units": range(60)}, [5.0] * 60).shares


def test_two_spaces_are_compared():
    good, bad = RNG.normal(5, 1, 40), RNG.normal(6, 1, 50)
    found = against({"a": good.tolist(), "b": bad.tolist()})
    assert found is not None
    assert found.first_is_better == pytest.approx(np.mean(good[:, None] < bad))
    assert found.p == pytest.approx(stats.mannwhitneyu(good, bad).pvalue)
    assert against({"a": good.tolist(), "b": bad[:5].tolist()}) is None


def test_few_networks_are_no_population():
    assert population([{"units": 1}] * 5, [1.0] * 5, {"all": [1.0] * 5}, ["2026"] * 5) is None


def test_the_history_of_the_best_is_in_the_order_of_training():
    scores = RNG.permutation(30).astype(float).tolist()
    days = [f"2026-01-{day:02}" for day in range(1, 31)]
    shuffled = RNG.permutation(30)
    fields = [{"units": int(i)} for i in shuffled]
    found = population(fields, [scores[i] for i in shuffled], {}, [days[i] for i in shuffled])
    assert found is not None
    assert found.best_so_far == np.minimum.accumulate(scores).tolist()
    unknown = population(fields, scores, {}, [""] * 30)
    assert unknown is not None
    assert unknown.best_so_far == []


def test_spaces_are_the_directories_of_the_command(tmp_path: Path):
    for space, start in (("small", 1), ("large", 30)):
        for units in range(start, start + 22):
            write(tmp_path / space / str(units), 0, 10 - units / 10, axes={"units": [units]})
    folders = [tmp_path / "small", tmp_path / "large"]
    [comparison] = compare(collect(folders).done)
    analysis = analyse(1, comparison, Question(by_test=True), folders)
    assert analysis.population
    assert [len(scores) for scores in analysis.population.spaces.values()] == [22, 22]
    said = " ".join(sentences(analysis))
    assert f"a network of {folders[0]} is better than one of {folders[1]} with probability 0.00" in said
    assert "units of the best tenth: 48 to 51; of all: 5 to 47" in said
    assert "population" in figures(analysis)
    [table] = detail_tables(analysis)
    assert table.rows == [["units", "-1.00", "< 0.001", "100 %", "48 to 51", "5 to 47"]]
