"""What docs/results says in words is what the JSON next to it holds."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t, ttest_ind
from support.scripts import script

from resnet_lab.config.tasks import CLASSIFICATION
from resnet_lab.report import words
from resnet_lab.report.scale import Scale
from resnet_lab.report.statistics.effects import effects
from resnet_lab.report.statistics.means import Means, estimate
from resnet_lab.report.statistics.procedures import seeds_needed, with_baseline, with_best
from studies import autoencoders, compared, learning_speed, why_residual

RESULTS = Path(__file__).parents[1] / "docs" / "results"
WORDS = " ".join((RESULTS / "README.md").read_text().split())
README = " ".join((RESULTS.parents[1] / "README.md").read_text().split())


def means_of(comparison: dict[str, Any], is_block: bool = False) -> Means:
    """The test errors of a stored report; `is_block`: each seed has its own split."""
    return estimate(
        {
            group["group"]: [(run["run"] if is_block else "", run["test_last"]) for run in group["runs"]]
            for group in comparison["groups"]
        }
    )


@pytest.fixture(scope="module")
def reduction() -> dict[str, Any]:
    [comparison] = json.loads((RESULTS / "reduction" / "report.json").read_text())["comparisons"]
    return comparison


def test_the_study_of_reductions(reduction: dict[str, Any]):
    groups = {group["fields"]["reduction"]: group for group in reduction["groups"]}
    assert list(groups) == [1, 2, 4, 8, 16]
    assert all(len(group["runs"]) == 10 and not group["missing"] for group in groups.values())
    means = means_of(reduction)
    found = {d.group: d for d in with_best(means)}
    assert not any(d.resolved for d in found.values())
    for name, before in (("reduction=1", "the best by"), ("reduction=16", "its MACs, by")):
        assert f"{before} {found[name].low:.2f} to {found[name].high:.2f} points" in WORDS
    [effect] = effects([{"reduction": int(name.partition("=")[2])} for name in means.names], means)
    [_, halving] = words.effect(effect, Scale(CLASSIFICATION.scoring))
    assert f"changes the error by {halving.partition(': ')[2]}." in WORDS
    std = np.sqrt(means.variances.mean())
    assert f"with a chance of 80 %, {seeds_needed(0.3, std, 5)} seeds" in WORDS
    costs = {name: group["costs"]["macs"] for name, group in groups.items()}
    assert round(costs[1] / costs[16]) == 31  # "a thirtieth"
    assert round(costs[1] / costs[2]) == 3
    errors = {name: group["errors"]["test_last"]["mean"] for name, group in groups.items()}
    assert min(errors, key=errors.__getitem__) == 2
    assert f"has the lowest mean, {errors[2]:.2f} %" in WORDS


@pytest.mark.parametrize(("index", "images"), [(0, 100), (1, 200)])
def test_the_study_of_few_digits(index: int, images: int):
    comparison = json.loads((RESULTS / "pretrained" / "report.json").read_text())["comparisons"][index]
    assert comparison["title"] == f"digits, 100 epochs, data.num_train={images}"
    assert comparison["axes"] == ["pretrained.digest"]
    groups = {group["fields"]["pretrained.digest"]: group for group in comparison["groups"]}
    assert all(len(group["runs"]) == 10 and not group["missing"] for group in groups.values())
    label = next(group["group"] for group in comparison["groups"] if group["fields"]["pretrained.digest"] is None)
    [difference] = with_baseline(means_of(comparison, is_block=True), label)
    assert not difference.resolved
    random = groups.pop(None)["errors"]["test_last"]
    [trained] = (group["errors"]["test_last"] for group in groups.values())
    cells = [f"{errors['mean']:.2f} ± {errors['half']:.2f} %" for errors in (random, trained)]
    mean, low, high = (f"{value:.2f}".replace("-", "−") for value in (difference.mean, difference.low, difference.high))
    assert f"| {images} | {cells[0]} | {cells[1]} | {mean} points ({low} to {high}) |" in WORDS


def test_the_simulation_of_the_statistics():
    """docs/comparing.md has its numbers, and none is worse than what the procedures promise."""
    content = json.loads((RESULTS.parents[1] / "benchmarks" / "results" / "simulate.json").read_text())
    rates, sweeps = content["rates"], content["sweeps"]
    assert (sweeps, len(rates)) == (2000, 18)
    page = " ".join((RESULTS.parent / "comparing.md").read_text().split())
    claims = []
    for name, kind in (("the best", "best"), ("a baseline", "baseline"), ("all pairs", "pairs")):
        false = [100 * rate[f"{kind}: false claim among equal groups"] for rate in rates]
        hold = [100 * value for rate in rates for key, value in rate.items() if key.startswith(f"{kind}: all hold")]
        shown = [f"{min(found):.1f} to {max(found):.1f} %" for found in (false, hold)]
        assert f"| {name} | {shown[0]} | {shown[1]} |" in page
        claims += false
    largest = 5 + 2 * 100 * np.sqrt(0.05 * 0.95 / sweeps)
    assert sum(rate > largest for rate in claims) <= 1  # of 54
    assert f"{sorted(claims)[-1]:.1f} % is the largest of 54" in page
    assert f"the second largest is {sorted(claims)[-2]:.1f} %" in page
    told = [100 * power["told"] for power in content["power"]]
    assert f"it was found in {min(told):.0f} to {max(told):.0f} %" in page
    over = [100 * content["hundreds"][f"told, over {points} points worse"] for points in (2, 3)]
    assert f"in {over[0]:.0f} %, over 3 points in {over[1]:.0f} %" in page
    assert content["hundreds"]["told, as good as the best"] == 0


def test_the_page_on_series_is_what_was_measured():
    writer = script("write_series")
    measured = json.loads((writer.FOLDER / "measured.json").read_text())
    assert writer.page(measured) == writer.PAGE.read_text()
    for name, runs in writer.by_set([run for run in measured if run["study"] == "ucr_resnet"]).items():
        accuracies = np.array([run["accuracy"] for run in runs])
        mean, std = writer.PUBLISHED[name]
        published = mean + std * np.array([-1, 1, 0, 0, 0]) * np.sqrt(2)  # five numbers of that mean and deviation
        p = ttest_ind(accuracies, published, equal_var=False).pvalue
        here, there = writer.Group.of(runs), writer.Group(mean, std, writer.PUBLISHED_RUNS)
        assert writer.welch(here, there)[1] == pytest.approx(p)


@pytest.mark.filterwarnings("ignore:Precision loss")  # all runs of one group have an error of 90 %
def test_the_page_on_residual_networks_is_what_was_measured():
    study = why_residual
    runs = json.loads((study.FOLDER / "measured.json").read_text())["runs"]
    assert study.page(runs) == study.PAGE.read_text()
    groups, _ = study.grouped(runs)
    assert all(len(own) >= 5 for group in groups.values() for own in group.values())
    found = study.contrasts(groups)
    for case, group in groups.items():
        errors = [[study.error(run, "test") for run in own] for own in group.values()]
        for (plain, residual), estimated in zip((errors[:2], errors[2:]), found[case], strict=False):
            welch = ttest_ind(residual, plain, equal_var=False).confidence_interval(1 - 0.05 / 12)
            assert (estimated.low, estimated.high) == pytest.approx((welch.low, welch.high))
        depends = found[case][0].mean - found[case][1].mean
        assert found[case][2].mean == pytest.approx(depends)


def test_the_readme_says_what_the_study_of_residual_networks_found():
    runs = json.loads((why_residual.FOLDER / "measured.json").read_text())["runs"]
    groups, _ = why_residual.grouped(runs)
    found = why_residual.contrasts(groups)
    digits, cifar = (found[data, 56][0] for data in ("digits", "CIFAR-10"))
    said = f"by {-digits.mean:.0f} points on digits ({-digits.high:.0f} to {-digits.low:.0f}) and by "
    said += f"{-cifar.mean:.0f} points on CIFAR-10 ({-cifar.high:.0f} to {-cifar.low:.0f})"
    assert said in README
    without = [own for (_, layers), group in groups.items() if layers == 56 for own in list(group.values())[2:]]
    means = [np.mean([why_residual.error(run, "test") for run in own]) for own in without]
    assert min(means) >= 87
    assert "87 % or more" in README
    assert not any(found[data, 56][1].resolved for data in ("digits", "CIFAR-10"))


@pytest.mark.parametrize("study", compared.STUDIES, ids=lambda study: study.name)
def test_the_page_of_a_comparison_is_what_the_report_says(study: compared.Study):
    found = study.stored()
    assert compared.page(study, found) == compared.page_of(study).read_text()
    for sweep in study.sweeps:
        groups = found[sweep.name]["groups"]
        assert all(len(group["runs"]) >= 5 and not group["missing"] for group in groups)
        means = estimate(
            {group["group"]: [(split_of(run), run["test_last"]) for run in group["runs"]] for group in groups}
        )
        [baseline] = [group["group"] for group in groups if sweep.level(group) == sweep.baseline]
        levels = {group["group"]: sweep.level(group) for group in groups}
        for one in with_baseline(means, baseline):
            gap = sweep.gaps(found[sweep.name])[levels[one.group]]
            assert (gap["low"], gap["high"]) == pytest.approx((one.low, one.high))


def test_the_readme_says_what_the_study_of_reductions_found():
    study = compared.REDUCTION
    stored = study.stored()
    at_cost, with_filters = (sweep.gaps(stored[sweep.name]) for sweep in study.sweeps)
    four, eight = (at_cost[level] for level in ("4", "8"))
    said = f"by {-four['mean']:.2f} points ({-four['high']:.2f} to {-four['low']:.2f}) and {-eight['mean']:.2f} "
    said += f"({-eight['high']:.2f} to {-eight['low']:.2f}), and 16 is not worse by 1 point or more"
    assert said in README
    assert {level for level, gap in at_cost.items() if gap["high"] < 0} == {"4", "8"}
    assert at_cost["16"]["high"] < 1
    assert all(gap["low"] > 1 for gap in with_filters.values())


def test_the_readme_says_what_the_study_of_bridges_found():
    [sweep] = compared.BRIDGES.sweeps
    comparison = compared.BRIDGES.stored()[sweep.name]
    gaps = sweep.gaps(comparison)
    stack, concat = (gaps[level] for level in ("stack", "stack_concat"))
    assert f"by {-stack['mean']:.2f} points ({-stack['high']:.2f} to {-stack['low']:.2f})" in README
    assert f"better by {-concat['mean']:.2f} ({-concat['high']:.2f} to {-concat['low']:.2f})" in README
    assert {level for level, gap in gaps.items() if gap["high"] < 0} == {
        "stack",
        "net_sum",
        "stack_concat",
        "net_concat",
    }
    macs = {sweep.level(group): group["costs"]["macs"] for group in comparison["groups"]}
    assert [round(macs[level] / macs["unit"]) for level in ("stack", "stack_concat", "net_concat")] == [1, 2, 2]
    assert round(gaps["none"]["mean"]) == 9
    assert gaps["stack_concat"]["high"] < min(gaps["stack"]["low"], gaps["net_sum"]["low"])  # "better still"


@pytest.fixture(scope="module")
def recipes() -> learning_speed.Groups:
    return learning_speed.grouped(json.loads((learning_speed.FOLDER / "measured.json").read_text())["runs"])


def test_the_page_on_learning_speed_is_what_was_measured(recipes: learning_speed.Groups):
    study, runs = learning_speed, [run for group in recipes.values() for run in group]
    assert study.page(runs) == study.PAGE.read_text()
    assert len(recipes) == 12
    assert all(len(own) >= 5 and len({run["seed"] for run in own}) == len(own) for own in recipes.values())
    assert all(len(run["val_error"]) == study.EPOCHS for run in runs)
    found = study.contrasts(recipes)
    # Welch's interval for a sum of weighted means, from its definition.
    for score, value in {"error": lambda run: run["test_error"], "epochs": study.spent}.items():
        of = {group: np.array([value(run) for run in own]) for group, own in recipes.items()}
        weights = {group: (1 if group[1] == 3 else -1) / len(study.RECIPES) for group in of}
        parts = np.array([weights[group] ** 2 * own.var(ddof=1) / len(own) for group, own in of.items()])
        freedom = parts.sum() ** 2 / sum(part**2 / (len(own) - 1) for part, own in zip(parts, of.values(), strict=True))
        half = t.ppf(1 - 0.05 / 4 / 2, freedom) * np.sqrt(parts.sum())
        mean = sum(weights[group] * own.mean() for group, own in of.items())
        assert (found["kernel"][score].low, found["kernel"][score].high) == pytest.approx((mean - half, mean + half))


def test_the_readme_says_what_the_study_of_learning_speed_found(recipes: learning_speed.Groups):
    study, found = learning_speed, learning_speed.contrasts(recipes)
    epochs, error = found["kernel"]["epochs"], found["kernel"]["error"]
    assert f"save {-epochs.mean:.2f} epochs to this target ({-epochs.high:.2f} to {-epochs.low:.2f})" in README
    assert f"and {-error.mean:.2f} points at the end ({-error.high:.2f} to {-error.low:.2f})" in README
    assert not any(estimate.resolved for estimate in found["decay"].values())
    mean = {group: np.mean([run["test_error"] for run in own]) for group, own in recipes.items()}
    middle = {group: np.median([study.spent(run) for run in own]) for group, own in recipes.items()}
    lowest = min(mean, key=mean.__getitem__)
    assert lowest == ("book_56_one_cycle_sgd", 3)
    assert all(gap.resolved for gap in with_best(study.means(recipes, "error")) if gap.group != gap.other)
    assert (middle[lowest], min(middle.values()), middle["book_56", 3]) == (8, 5, 5)
    one, three = (recipes["book_56", kernel][0] for kernel in (1, 3))
    assert {round(three[name] / one[name]) for name in ("params", "macs")} == {2}


def test_the_first_epoch_that_reaches_the_target():
    assert learning_speed.first({"val_error": [60.0, 48.0, 49.0, 40.0]}) == 2
    never = {"val_error": [60.0, 48.01]}
    assert learning_speed.first(never) is None
    assert learning_speed.spent(never) == learning_speed.EPOCHS


def test_the_page_on_autoencoders_is_what_was_measured():
    study, runs = autoencoders, autoencoders.stored_runs()
    assert study.page(runs) == study.PAGE.read_text()
    groups = study.grouped(runs)
    assert len(groups) == 4
    assert all(
        len({run["seed"] for run in own}) == len(own) >= 5 for group in groups.values() for own in group.values()
    )
    for group in groups.values():
        for score in (study.mse, study.finest):
            of = {name: [score(run) for run in study.done(own)] for name, own in group.items()}
            for name, found in study.against_plain(group, score).items():
                welch = ttest_ind(of[name], of[study.BASELINE], equal_var=False)
                alone, cautious = (welch.confidence_interval(1 - 0.05 / count) for count in (1, len(of) - 1))
                assert cautious.low < found.low < alone.low < alone.high < found.high < cautious.high


def test_the_readme_says_what_the_study_of_autoencoders_found():
    study, groups = autoencoders, autoencoders.grouped(autoencoders.stored_runs())
    middle, fine = (
        [study.against_plain(own, score) for own in groups.values()] for score in (study.middle, study.finest)
    )
    assert all(found[name].high < 0 for found in middle for name in ("V1", "V2", "plain CNN"))
    small, *_, large = sorted((found["V2"] for found in middle), key=lambda gap: -gap.mean)
    said = f"by {-small.mean:.1f} points ({-small.high:.1f} to {-small.low:.1f}) to "
    assert said + f"{-large.mean:.1f} ({-large.high:.1f} to {-large.low:.1f})" in README
    # docs/results/README.md
    assert all(found[f"{name} with stack bridges"].low > 0 for found in fine for name in ("plain deep", "V1"))
    assert all(
        found[name].high < 0
        for own in groups.values()
        for name in ("V1", "V2", "plain CNN")
        for found in [study.against_plain(own, study.mse)]
    )
    of_cifar = [run for (data, _), own in groups.items() if data == "CIFAR-10" for runs in own.values() for run in runs]
    assert min(study.finest(run) for run in of_cifar) > 100


def split_of(run: dict[str, Any]) -> str:
    """The block of a run: the split of its images."""
    [split] = [word for word in run["run"].split() if word.startswith("data.split_seed=")]
    return split


@pytest.mark.parametrize("page", [path.name for path in sorted(RESULTS.glob("*.md"))])
def test_links_and_pictures_are_there(page: str):
    for link in re.findall(r"\]\((?!https:)([^)]+)\)", (RESULTS / page).read_text()):
        assert (RESULTS / (link.partition("#")[0] or page)).is_file()
