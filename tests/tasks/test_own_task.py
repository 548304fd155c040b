"""A task that nothing in the package knows by name does all that classification does."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from own import OwnLab, Position
from rich.console import Console
from support.composing import config as load_config
from support.lab import FailsAt, events, same_weights, scalars, without_times

from resnet_lab import load_run
from resnet_lab.bench.measure import bare_seconds, trained
from resnet_lab.callbacks.reporter import Reporter
from resnet_lab.command import exit_status
from resnet_lab.config.checks import ConfigError
from resnet_lab.data.datamodule import ImageData
from resnet_lab.data.split import drawn
from resnet_lab.inspect.__main__ import main as inspect
from resnet_lab.interrupts import RunFailed
from resnet_lab.job import objective
from resnet_lab.report.__main__ import main as report
from resnet_lab.rundir.predictions import read_predictions
from resnet_lab.sweep import progress_table
from resnet_lab.sweep.progress_table import ProgressTable
from resnet_lab.training.result import format_result

pytestmark = pytest.mark.slow


def test_its_score_is_that_of_the_stored_network(finished: OwnLab):
    result = finished.directory().result()
    assert result["task"] == {
        "name": "position", "score": "mae", "unit": "px", "most": None,
        "figures": ["flow", "filters", "maps", "patterns", "inversion"],
    }  # fmt: skip
    for part in ("last", "best"):
        config, net = load_run(finished.directory().path, part)
        data = ImageData(config)
        with torch.no_grad():
            found = net(data.normalise(torch.from_numpy(data.source.test.pixels)))
        assert found.shape == (20, 1)
        off = (found[:, 0] - torch.from_numpy(data.source.test.labels)).abs()
        assert result[part]["test_mae"] == pytest.approx(off.mean().item(), rel=1e-4)
    best = min(result["history"], key=lambda record: record["val/mae"])
    assert (result["best"]["epoch"], result["best"]["val_mae"]) == (best["epoch"], best["val/mae"])
    numbers = ["epoch", "train_loss", "train_mae", "val_loss", "val_mae", "test_loss", "test_mae"]
    assert [list(result[part]) for part in ("last", "best")] == [numbers, numbers]


def test_the_penalty_of_each_image_is_stored(finished: OwnLab):
    directory = finished.directory()
    for when in ("last", "best"):
        for part in ("test", "val"):
            found = read_predictions(directory.predictions_file, part, when)
            assert found.penalty is not None
            assert found.wrong is found.probabilities is None
            assert found.penalty.mean() == pytest.approx(directory.result()[when][f"{part}_mae"], rel=1e-5)


def test_nothing_is_stored_if_the_penalty_looks_at_values(own: OwnLab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Position, "penalty", lambda self, outputs, targets: sum(abs(outputs[:, 0] - targets).tolist()))
    own.run("trainer.max_epochs=1")
    assert own.directory("trainer.max_epochs=1").result()
    assert not own.directory("trainer.max_epochs=1").predictions_file.exists()


def test_what_tensorboard_shows(finished: OwnLab):
    path = finished.directory().path
    written = scalars(path)
    assert {
        "mae/train",
        "mae/val",
        "test/mae",
        "network gradient/stem",
        "network share/stacks.0.units.0",
    } <= written.keys()
    assert not any("error" in tag for tag in written)
    images = events(path).Tags()["images"]
    assert "pictures/flow" in images
    assert "pictures/maps of stem" in images
    assert "pictures/confusion" not in images
    labels = (path / "00008" / "features" / "metadata.tsv").read_text().split()
    data = ImageData(finished.config())
    rows = drawn(data.validation_rows, len(labels))
    assert [float(label) for label in labels] == data.source.train.labels[rows].tolist()


def test_what_is_printed(finished: OwnLab):
    result = finished.directory().result()
    validation, test = result["last"]["val_mae"], result["last"]["test_mae"]
    scores = f"validation mae {validation:.4g} px, test mae {test:.4g} px (last epoch, 2); validation mae "
    assert format_result(result).startswith(f"squares seed 0: {scores}")
    assert "lowest validation mae); trained in" in format_result(result)


def test_an_interrupted_run_continues_to_the_same_numbers(own: OwnLab, finished: OwnLab):
    with pytest.raises(RunFailed):
        own.run(callbacks=[FailsAt(1)])
    result = own.run()
    assert without_times(result) == without_times(finished.directory().result())
    assert same_weights(own.checkpoint(), finished.checkpoint())


def test_a_run_is_named_after_a_task_that_is_not_the_default(own: OwnLab):
    path = own.directory("shortcut=none").path
    assert path.relative_to(own.output_dir).parts[0] == "squares"
    assert "shortcut-none" in path.parent.name
    assert "task-position" in path.parent.name


def test_objectives(own: OwnLab, finished: OwnLab):
    result = finished.directory().result()
    assert objective(result, []) == result["last"]["val_mae"]
    assert objective(result, own.config("objective=[val_mae,macs]").objective) == (
        result["last"]["val_mae"],
        result["macs"],
    )
    with pytest.raises(ConfigError, match=r"objective can be val_mae, macs, .*; got val_error|got val_error"):
        own.config("objective=[val_error]")


def test_what_is_wrong_is_told(own: OwnLab):
    with pytest.raises(ConfigError, match=r"optim\.label_smoothing needs classes, but task=position has none"):
        own.config("optim.label_smoothing=0.1")
    with pytest.raises(ConfigError, match=r"task can be classification, .*position; got detection"):
        load_config("task=detection")


def test_other_precisions_and_calls(own: OwnLab):
    for changes in (("trainer.precision=bf16",), ("trainer.precision=64", "trainer.steps_per_call=3")):
        assert 0 < own.run(*changes)["last"]["test_mae"] < 10


def test_the_table_of_a_sweep(own: OwnLab, monkeypatch: pytest.MonkeyPatch):
    screen, sent = io.StringIO(), list[Any]()
    console = Console(file=screen, width=100, height=20, force_terminal=True, color_system=None)
    monkeypatch.setattr(progress_table, "console", console)
    result = own.run(callbacks=[Reporter(sent.append)])
    with ProgressTable(["seed=0"]) as table:
        table.started(0)
        table.progress(0, sent[1])
        table.refresh()
    assert "val mae" in screen.getvalue()
    assert f"{result['history'][0]['val/mae']:.4g} px" in screen.getvalue()


def test_its_speed_is_measured_on_random_images(own: OwnLab):
    config = own.config()
    assert bare_seconds(config, rounds=1) > 0
    measured, result = trained(config, 3)
    assert measured["images"] == 4 * 3 * 16
    assert result["last"]["test_mae"] is not None


def test_the_report(own: OwnLab, capsys: pytest.CaptureFixture[str]):
    for seed in (0, 1):
        for shortcut in ("projection", "none"):
            own.run(f"seed={seed}", f"shortcut={shortcut}")
    out = own.output_dir / "report"
    assert report([str(own.output_dir)]) == 0
    figures = {path.name for path in (out / "figures").glob("*.png")}
    assert figures == {f"{name}-1.png" for name in ("costs", "axes", "curves")}
    page = (out / "report.html").read_text()
    assert '"test mae, last epoch (px)"' in page
    visible = re.sub(r"<(script|style).*?</\1>|base64,[^\"]*", "", page, flags=re.DOTALL)
    said = capsys.readouterr().out.partition("written to")[0]
    for text in (said, (out / "report.md").read_text(), visible):
        words = re.sub(r"wall time of a run: [^)]*\)", "", " ".join(text.split()))
        assert "validation mae," in words  # the heading may be on two lines
        assert "Maes are in px, as mean ± half the width of the 95 % interval" in words
        assert "lowest validation mae" in words
        assert "%" not in re.sub(r"(95|80) %|η² \d+ %", "", words)  # confidence, power, shares of variation
        assert "error" not in words


def test_a_report_of_two_tasks_compares_them_apart(own: OwnLab, capsys: pytest.CaptureFixture[str]):
    own.run()
    load_and_run = own.overrides()
    load_and_run[:2] = ["data=digits", "trainer.max_batches=2"]
    from resnet_lab.training.run import run

    run(load_config(*load_and_run))
    assert report([str(own.output_dir)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Errors are in percent, maes are in px, as mean" in said
    assert said.count("validation mae, last") == said.count("validation error, last") == 1


def look(*arguments: object) -> int:
    return inspect([str(argument) for argument in arguments])


def test_inspect_makes_the_parts_that_say_something(finished: OwnLab, tmp_path: Path):
    assert look(finished.directory().path, "--out", tmp_path, "--images", 0, 3) == 0
    names = {file.stem.partition("-")[0] for file in (tmp_path / "figures").iterdir()}
    assert names == {"flow", "filters", "weights", "maps", "patterns", "inversion"}
    label = ImageData(finished.config())
    first = label.source.train.labels[label.validation_rows][0]
    assert f"chosen images: #0: {first:.3g}, #3: " in (tmp_path / "inspect.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["saliency"], "unknown part saliency for task=position; choose from flow, filters, maps"),
        (["flow", "--class", "3"], "--class: unknown class 3; known classes: none"),
        (["flow", "--compare", "{digits}"], "is a run of task=classification, not task=position"),
    ],
)
def test_inspect_refuses_the_others(
    finished: OwnLab, lab: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
):
    if "--compare" in arguments:
        lab.run()
        arguments = [*arguments[:-1], str(lab.directory().path)]
    assert exit_status(inspect, [str(finished.directory().path), *arguments]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
