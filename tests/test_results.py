"""What docs/results says in words is what the JSON next to it holds."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

RESULTS = Path(__file__).parents[1] / "docs" / "results"
WORDS = " ".join((RESULTS / "README.md").read_text().split())


@pytest.fixture(scope="module")
def reduction() -> dict[str, Any]:
    [comparison] = json.loads((RESULTS / "reduction" / "report.json").read_text())["comparisons"]
    return comparison


def test_the_study_of_reductions(reduction: dict[str, Any]):
    groups = {group["fields"]["reduction"]: group for group in reduction["groups"]}
    assert list(groups) == [1, 2, 4, 8, 16]
    assert all(len(group["runs"]) == 10 and not group["missing"] for group in groups.values())
    assert (reduction["pairs_tested"], reduction["pairs_distinguishable"]) == (10, 0)
    assert f"the smallest p is {min(d['p'] for d in reduction['differences']):.3f}" in WORDS
    costs = {name: group["costs"]["macs"] for name, group in groups.items()}
    assert round(costs[1] / costs[16]) == 31  # "a thirtieth"
    assert round(costs[1] / costs[2]) == 3
    errors = {name: group["errors"]["test_last"]["mean"] for name, group in groups.items()}
    assert min(errors, key=errors.__getitem__) == 2
    assert f"has the lowest error, {errors[2]:.2f} %" in WORDS
    assert f"three times as much, {errors[1]:.2f} %" in WORDS
    assert max(errors.values()) - min(errors.values()) < 1


@pytest.mark.parametrize(("index", "images"), [(0, 100), (1, 200)])
def test_the_study_of_few_digits(index: int, images: int):
    comparison = json.loads((RESULTS / "pretrained" / "report.json").read_text())["comparisons"][index]
    assert comparison["title"] == f"digits, 100 epochs, data.num_train={images}"
    assert comparison["axes"] == ["pretrained.digest"]
    groups = {group["fields"]["pretrained.digest"]: group for group in comparison["groups"]}
    assert all(len(group["runs"]) == 10 and not group["missing"] for group in groups.values())
    assert (comparison["pairs_tested"], comparison["pairs_distinguishable"]) == (1, 0)
    [difference] = comparison["differences"]
    random = groups.pop(None)["errors"]["test_last"]
    [trained] = (group["errors"]["test_last"] for group in groups.values())
    cells = [f"{errors['mean']:.2f} ± {errors['half']:.2f} %" for errors in (random, trained)]
    p = f"{difference['mean']:.2f} ± {difference['half']:.2f} points, p = {difference['p']:.2g}"
    assert f"| {images} | {cells[0]} | {cells[1]} | {p} |" in WORDS


@pytest.fixture(scope="module")
def writer() -> Any:
    """scripts/write_why_residual.py."""
    path = RESULTS.parents[1] / "scripts" / "write_why_residual.py"
    spec = importlib.util.spec_from_file_location("write_why_residual", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_on_residual_networks_is_what_was_measured(writer: Any):
    measured = json.loads((writer.FOLDER / "measured.json").read_text())
    groups = writer.grouped(measured["runs"])
    assert writer.page(measured, groups) == writer.PAGE.read_text()
    assert all(len(runs) >= 3 for group in groups.values() for runs in group.values())


@pytest.mark.parametrize("page", ["README.md", "why_residual.md"])
def test_links_and_pictures_are_there(page: str):
    for link in re.findall(r"\]\(([^)]+)\)", (RESULTS / page).read_text()):
        assert (RESULTS / link.partition("#")[0]).is_file()
