"""What lies under a directory is found, and what is broken is named."""

import json
import math
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from runs import AXES, result, write
from support.composing import config as load_config

from resnet_lab.config.checks import ConfigError
from resnet_lab.report.analysis import score
from resnet_lab.report.collect import collect
from resnet_lab.report.tables import troubles
from resnet_lab.report.write import report
from resnet_lab.rundir.json_schemas import RESULT
from resnet_lab.rundir.plans import FOLDER
from resnet_lab.training.run import run


def test_every_state_is_told_apart(tmp_path: Path):
    for state in ("done", "failed", "diverged", "interrupted", "running"):
        write(tmp_path / "deep" / "er" / state, state=state, why="because")
    found = collect([tmp_path, tmp_path / "deep"])  # twice, and read once
    assert [done.path.name for done in found.done] == ["done"]
    assert [(unfinished.state, unfinished.why) for unfinished in found.unfinished] == [
        (state, "because") for state in ("diverged", "failed", "interrupted", "running")
    ]


@pytest.mark.parametrize("content", ["{", "[]", '{"jobs": 3}', '{"jobs": [1]}'])
def test_a_damaged_plan_is_named_and_skipped(tmp_path: Path, content: str):
    write(tmp_path / "whole")
    plan = tmp_path / FOLDER / "ab.json"
    plan.parent.mkdir()
    plan.write_text(content)
    found = collect([tmp_path])
    assert len(found.done) == 1
    assert [damaged.path for damaged in found.damaged] == [plan]


def test_a_run_whose_process_is_gone_was_interrupted(tmp_path: Path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name, pid in (("gone", ended.pid), ("here", os.getpid())):
        path = write(tmp_path / name, state="running")
        (path / "status.json").write_text(json.dumps({"state": "running", "host": platform.node(), "pid": pid}))
    gone, here = collect([tmp_path]).unfinished
    assert (gone.state, here.state) == ("interrupted", "running")
    assert "killed" in gone.why


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("status.json", None, "status.json is missing"),
        ("status.json", "{", "status.json cannot be read"),
        ("status.json", '{"state": "lost"}', "unknown state"),
        ("status.json", '{"state": []}', "status.json: state has the wrong type: list"),
        ("config.yaml", None, "it has no config.yaml"),
        ("config.yaml", "a: [", "config.yaml is damaged"),
        ("config.yaml", "", "config.yaml is damaged"),
        ("result.json", None, "result.json is missing"),
        ("result.json", '{"schema_version": 1, "na', "result.json cannot be read"),
        ("result.json", '{"schema_version": NaN}', "NaN is not JSON"),
        ("result.json", "[]", "does not hold a JSON object"),
        ("result.json", "\xff", "result.json cannot be read"),
        ("result.json", '{"schema_version": 99}', "schema version 99"),
        ("result.json", '{"schema_version": 1}', "result.json lacks name"),
        ("result.json", '{"schema_version": 1, "name": 3}', "result.json: name has the wrong type: 3"),
        ("result.json", json.dumps(result(0, 1.0, AXES, last={})), "result.json: last lacks test_error"),
        (
            "result.json",
            json.dumps(result(0, 1.0, AXES, last={"test_error": "abc"})),
            "result.json: last.test_error has the wrong type: 'abc'",
        ),
        (
            "result.json",
            json.dumps(result(0, 1.0, AXES, last={"test_error": True})),
            "result.json: last.test_error has the wrong type: True",
        ),
    ],
)
def test_damaged_is_named_and_skipped(tmp_path: Path, file: str, content: str | None, why: str):
    write(tmp_path / "whole")
    path = write(tmp_path / "damaged")
    if content is None:
        (path / file).unlink()
    else:
        (path / file).write_text(content, encoding="latin-1")
    found = collect([tmp_path])
    assert [done.path.name for done in found.done] == ["whole"]
    [damaged] = found.damaged
    assert damaged.path == path
    assert why in damaged.why


def test_nothing_is_found_in_hidden_folders_but_they_are_named(tmp_path: Path):
    (tmp_path / ".hidden").mkdir()
    run = write(tmp_path / ".hidden" / "run")
    (tmp_path / ".other").mkdir()
    (tmp_path / ".other" / "config.yaml").write_text("a: 1")
    found = collect([tmp_path])
    assert found.empty
    assert found.skipped == f"skipped 1 run in hidden folders: {run}"
    with pytest.raises(ConfigError, match=rf"no run directories under .*; skipped 1 run in hidden folders: {run}"):
        report([tmp_path], [], tmp_path / "out")
    write(tmp_path / "run")
    assert troubles(collect([tmp_path]), []) == [found.skipped]
    assert not collect([tmp_path / "run"]).skipped


def test_it_reads_what_training_writes(tmp_path: Path):
    run(load_config("trainer=debug", f"output_dir={tmp_path}"))
    [done] = collect([tmp_path]).done
    assert done.result.keys() >= RESULT.keys()
    assert math.isfinite(score(done, "test_last") or math.nan)
    assert score(done, "val_last") == done.result["history"][-1]["val/error"]
