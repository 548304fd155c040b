"""What docs/results says in words is what the JSON beside it holds."""

from __future__ import annotations

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


def test_links_and_pictures_are_there():
    for link in re.findall(r"\]\(([^)]+)\)", (RESULTS / "README.md").read_text()):
        assert (RESULTS / link).is_file()
