"""The series of docs/learning-speed.md, in small: all of it trains, and the report says when runs reached a target."""

import json
from pathlib import Path

import pytest
from support.composing import config

from resnet_lab.config.groups import options
from resnet_lab.report.__main__ import main
from resnet_lab.training.run import run

pytestmark = pytest.mark.slow

SERIES = [name for name in options("experiment") if name.startswith("book_56")]
SMALL = ["data=digits", "units=n1", "filters=w8", "trainer.max_epochs=2", "trainer.max_batches=4", "diagnostics=off"]


def test_the_series_is_the_one_on_the_page():
    page = (Path(__file__).parents[2] / "docs" / "learning-speed.md").read_text()
    assert all(f"| `{name}` |" in page for name in SERIES)
    assert "+experiment=" + ",".join(sorted(SERIES, key=page.index)) in page


def test_it_trains_and_the_report_says_when_a_target_was_reached(tmp_path: Path):
    for name in SERIES:
        run(config(f"+experiment={name}", *SMALL, f"output_dir={tmp_path}"))
    assert main([str(tmp_path), "--by", "name", "--target", "99.9"]) == 0
    [comparison] = json.loads((tmp_path / "report" / "report.json").read_text())["comparisons"]
    assert [group["group"] for group in comparison["groups"]] == [f"name={name}" for name in sorted(SERIES)]
    assert {(found["reached"], found["first"]["epoch"]) for found in comparison["target"].values()} == {(1, 1.0)}
