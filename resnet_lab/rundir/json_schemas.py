"""The schemas of a run's JSON files, and functions to read them: Unreadable means that a file is missing or damaged."""

import copy
from pathlib import Path
from typing import Any

from resnet_lab.config.tasks import DEFAULTS_OF_0_1
from resnet_lab.rundir.safe import EACH, NUMBER, Maybe, Unreadable, check_form, read_json
from resnet_lab.rundir.states import State

SCHEMA_VERSION = 1  # of result.json

STATUS = {
    "state": str,
    "why": Maybe(str),
    "epochs": Maybe(int),
    "time": Maybe(str),
    "host": Maybe(str),
    "pid": Maybe(int),
}

SCORES = {EACH: Maybe(NUMBER)}
RESULT = {
    "name": str,
    "seed": int,
    "epochs": int,
    "depth": int,
    "params": int,
    "macs": int,
    "activations": int,
    "last": SCORES,
    "best": Maybe(SCORES),
    "published_error": Maybe(NUMBER),
    "seconds": NUMBER,
    "stopped_early": Maybe(bool),  # not stored by version 0.1, nor are the next four
    "wall_seconds": Maybe(NUMBER),
    "wall": Maybe({EACH: NUMBER}),
    "peak_memory": Maybe(int),
    "reserved_memory": Maybe(int),
    "device": str,
    "devices": Maybe(int),
    "kernels": Maybe(str),
    "precision": str,
    "history": [SCORES],
    "task": {"name": str, "score": str, "unit": str, "most": Maybe(NUMBER)},
    "images": {"fingerprint": Maybe(str)},
    "continued_from": Maybe({"run": str, "epochs": int, "step": int}),
    "sweeper": Maybe(str),
    "test": {"last": {}, "best": Maybe({})},
}

IMAGES = {
    "classes": [str],
    "by_class": {EACH: {EACH: list}},
    "changes": Maybe([{"after_epoch": int, "what": str}]),
}

# For each checkpoint, last or best.
CALIBRATION = {
    EACH: {
        "temperature": NUMBER,
        "weights": str,
        "images": int,
        "nll": {"before": NUMBER, "after": NUMBER},
        "ece": {"before": NUMBER, "after": NUMBER},
    }
}

PLAN = {"jobs": [{"label": str, "path": Maybe(str), "why": Maybe(str)}]}


def read_status(path: Path) -> dict[str, Any]:
    """Read status.json; its `state` is the value of a State."""
    status = _checked(path, STATUS)
    if status["state"] not in list(State):
        raise Unreadable(f"{path.name}: unknown state {status['state']!r:.60}")
    return status


def read_result(path: Path) -> dict[str, Any]:
    """Read result.json, with defaults for what version 0.1 did not store."""
    result = copy.deepcopy(DEFAULTS_OF_0_1) | read_json(path)
    if (version := result.get("schema_version")) != SCHEMA_VERSION:
        raise Unreadable(f"{path.name} has schema version {version!r:.60}; this version reads {SCHEMA_VERSION}")
    check_form(result, RESULT, path.name)
    score = f"test_{result['task']['score']}"
    if score not in result["last"]:
        raise Unreadable(f"{path.name}: last lacks {score}")
    return result


def read_images(path: Path) -> dict[str, Any]:
    """Read images.json, the record of the images that a run was trained with."""
    return _checked(path, IMAGES)


def read_calibration(path: Path) -> dict[str, Any]:
    """Read calibration.json: the temperature of each checkpoint that was calibrated, and what it changed."""
    return _checked(path, CALIBRATION)


def read_plan(path: Path) -> list[dict[str, Any]]:
    """Read the jobs of a sweep's plan."""
    jobs: list[dict[str, Any]] = _checked(path, PLAN)["jobs"]
    return jobs


def _checked(path: Path, form: Any) -> dict[str, Any]:
    content = read_json(path)
    check_form(content, form, path.name)
    return content
