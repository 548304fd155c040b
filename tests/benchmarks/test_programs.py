"""The programs: an implementation in a process, comparisons, and the page that is made of results."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks import augment, axes, export, photos, recompute, report, series, steps, store, train
from benchmarks.checks import TINY
from benchmarks.facts import RESULTS, facts
from benchmarks.startup import epoch_logged
from benchmarks.worker import ImplementationFailed, measure
from resnet_lab import ResNetV2
from resnet_lab.config.compose import load_config
from resnet_lab.config.enums import Recompute
from resnet_lab.config.registry import AUGMENTATIONS
from resnet_lab.tasks import cost

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["roof", pytest.param("lab", marks=pytest.mark.long)])
def test_an_implementation_is_measured_in_a_process_of_its_own(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    assert measure(name, TINY, steps=2, epochs=1, device="cpu") > 0


def test_an_implementation_that_fails_says_why(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(ImplementationFailed, match=r"(?s)roof failed on units=nope.*there is no units=nope"):
        measure("roof", ["units=nope"], steps=2, epochs=1, device="cpu")


def test_a_comparison_measures_every_implementation_in_every_round(monkeypatch: pytest.MonkeyPatch):
    """The numbers are given here; that the order rotates, and who is compared with whom, is the program's."""
    asked: list[str] = []
    speeds = {"roof": 100.0, "lab": 98.0, "timm": 50.0}

    def given(name: str, overrides: list[str], *how: Any) -> float:
        asked.append(name)
        return speeds[name]

    monkeypatch.setattr(train, "measure", given)
    compared = train.compare("cifar10_20", ["roof", "lab", "timm"], 2, 1, 1, "cpu")
    assert asked == ["roof", "lab", "timm", "lab", "timm", "roof"]
    assert compared["ratios"]["roof"]["median"] == pytest.approx(0.98)
    assert [check["passed"] for check in compared["checks"]] == [True]
    asked.clear()
    train.compare("cifar10_basic_56", ["roof", "lab", "timm"], 1, 1, 1, "cpu")
    assert asked == ["roof", "lab"]


@pytest.mark.parametrize(("lab", "slowed", "status"), [(100.0, 75.0, 0), (100.0, 99.0, 1), (80.0, 75.0, 1)])
def test_the_self_check_wants_the_lab_to_pass_and_a_slowed_one_to_fail(
    lab: float, slowed: float, status: int, monkeypatch: pytest.MonkeyPatch
):
    speeds = {"roof": 100.0, "lab": lab, "slowed": slowed}
    monkeypatch.setattr(train, "measure", lambda name, *how: speeds[name])
    assert train.self_check("cifar10_20", 2, 1, 1, "cpu") == status


@pytest.mark.parametrize("program", ["benchmarks.gpu", "benchmarks.train"])
def test_without_a_gpu_there_is_one_message(program: str):
    words = ["--device", "cuda"] if program == "benchmarks.train" else []
    hidden = {"CUDA_VISIBLE_DEVICES": "", "PATH": ""}
    command = [sys.executable, "-m", program, *words]
    ended = subprocess.run(command, cwd=ROOT, env=hidden, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "torch finds no GPU here\n")


def test_a_rounds_of_measurements_continue(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    monkeypatch.setattr(train, "measure", lambda name, *how: asked.append(name) or 1.0)
    rounds = [{"roof": 2.0, "lab": 2.0}, {"lab": 2.0}]
    assert len([*train.rounds_measured(rounds, "cifar10_20", ["roof", "lab"], 3, 1, 1, "cpu")]) == 3
    assert asked == ["roof", "roof", "lab"]
    assert rounds == [{"roof": 2.0, "lab": 2.0}, {"lab": 2.0, "roof": 1.0}, {"roof": 1.0, "lab": 1.0}]


def test_exported_networks_are_checked_and_compared():
    found, checks = export.measured("digits_20", rounds=1, seconds=0.0)
    assert [check["passed"] for check in checks] == [True, True]
    assert {batch: [*of_batch["ratios"]] for batch, of_batch in found.items()} == {
        "1": ["onnx", "pt2"],
        "64": ["onnx", "pt2"],
    }


@pytest.mark.long
def test_every_augmentation_is_measured_next_to_a_step(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(augment.NETWORKS, 2, ["+experiment=digits_20"])
    report = augment.report(rounds=1)
    for dims, measured, check in zip((2, 1), report["networks"].values(), report["checks"], strict=True):
        expected = {name for name in AUGMENTATIONS if AUGMENTATIONS.info(name).dims in (None, dims)}
        assert expected < set(measured["share"]) == set(measured["per_second"]) - {"step"}
        assert check["value"] == max(share["median"] for share in measured["share"].values())


def test_steps_are_compared_for_each_mac_within_each_round(monkeypatch: pytest.MonkeyPatch):
    """The seconds are given here: in the first round of w16 and w32, in the second of w32 and w16."""
    given = iter([1.0, 2.0, 9.0, 3.0])
    monkeypatch.setattr(steps, "seconds", lambda step: next(given))
    configs = {name: load_config("+experiment=digits_20", f"filters={name}") for name in ("w16", "w32")}
    narrow, wide = (cost.measure(config).macs for config in configs.values())
    compared = steps.compared(configs, "w16", rounds=2)
    assert compared["macs"] == {"w16": narrow, "w32": wide}
    assert compared["milliseconds"]["w32"] == {"median": 5500.0, "low": 2000.0, "high": 9000.0}
    assert compared["ratio"]["w16"] == {"median": 1.0, "low": 1.0, "high": 1.0}
    expected = {"low": 2 * narrow / wide, "median": 2.5 * narrow / wide, "high": 3 * narrow / wide}
    assert compared["ratio"]["w32"] == pytest.approx(expected)


def test_options_of_a_network_are_measured_next_to_the_plain_one():
    measured = axes.report(rounds=1, options={"digits_20": ["filters=w16", "norm=group nonlinearity=silu"]})
    found = measured["networks"]["digits_20"]
    assert [*found["ratio"]] == ["plain", "filters=w16", "norm=group nonlinearity=silu"]
    assert found["ratio"]["plain"]["median"] == 1
    assert found["macs"]["filters=w16"] < found["macs"]["plain"] == found["macs"]["norm=group nonlinearity=silu"]


def test_the_plain_loop_trains_the_network_of_the_lab():
    net = ResNetV2(load_config(*series.TASK).model)
    params = sorted(tuple(p.shape) for p in net.parameters())
    assert params == sorted(tuple(p.shape) for p in series.Plain().parameters())
    assert series.report(rounds=1, epochs=1)["ratio"]["median"] > 0


@pytest.mark.long
def test_memory_is_that_of_a_process_that_trains():
    task = ("+experiment=digits_20", "units=n1", "trainer=cpu", "trainer.max_epochs=1", "diagnostics=off")
    found = recompute.trained(Recompute.unit, task)
    assert found["memory"] > 1e8
    assert found["seconds"] > 0


@pytest.mark.parametrize("network", axes.OPTIONS)
def test_every_measured_option_makes_another_network(network: str):
    options = ["", *axes.OPTIONS[network]]
    models = [load_config(f"+experiment={network}", *option.split()).model for option in options]
    assert all(models.count(model) == 1 for model in models)


def test_the_first_step_is_read_off_the_log():
    log = "2026-01-02 03:04:05,678 INFO begins\n2026-01-02 03:04:06,789 DEBUG epoch 1: lr 0.1\n"
    assert epoch_logged(log) == datetime(2026, 1, 2, 3, 4, 6, 789_000)


def test_the_page_is_what_the_results_give():
    results = report.read(RESULTS)
    assert report.PAGE.read_text() == report.page(results)
    assert report.FIGURE.is_file() == bool(report.comparisons(results))


def test_the_page_tells_all_of_it(tmp_path: Path):
    round_ = {"roof": 100.0, "lab": 98.0}
    spread = {name: {"median": speed, "low": speed - 1, "high": speed + 1} for name, speed in round_.items()}
    ratio = {"roof": {"median": 0.98, "low": 0.97, "high": 0.99}}
    checks = [{"what": "lab ≥ 0.97 × roof", "value": 0.98, "limit": 0.97, "at_least": True, "passed": True}]
    network = {"rounds": [round_], "images_per_second": spread, "ratios": ratio, "checks": checks}
    origin = facts("benchmarks.train") | {"device": "cpu"}
    results = {
        "gpu/fast-cifar10_164": origin | network,
        "gpu/fast-jobs": origin | {"error": "RuntimeError: no such kernel", "checks": []},
        "train-cpu": origin | {"networks": {"cifar10_20": network}, "left_out": ["timm cannot be used here"]},
    }
    page = report.page(results)
    assert "| roof | 100 (99–101) | 0.98 (0.97–0.99) |" in page
    assert "| lab ≥ 0.97 × roof | 0.98 | ≥ 0.97 | yes |" in page
    assert "### cifar10_164, cuda" in page
    assert "`gpu/fast-jobs` could not be measured: RuntimeError: no such kernel" in page
    assert "timm cannot be used here" in page
    assert origin["versions"]["torch"] in page
    report.draw(results, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_loading_is_measured_next_to_the_decoder_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "LOADED", 100)
    found = store.loaded(photos.folder(tmp_path, 30), rounds=1)
    assert [*found] == [*store.WAYS]
    for way in found.values():
        assert way["ratio"]["median"] == way["loaded"]["median"] / way["limit"]["median"] > 0
