"""What a command shows while it trains: a line for each epoch, or bars on a terminal; and what run.log leaves out."""

import io
import logging
import warnings

import pytest
from pytorch_lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from rich.console import Console
from support.lab import Lab

from resnet_lab.callbacks import progress
from resnet_lab.callbacks.progress import ProgressBar
from resnet_lab.config.enums import EpochLog
from resnet_lab.config.tasks import CLASSIFICATION
from resnet_lab.training.log import epoch_line, log_to, show_on_terminal

pytestmark = pytest.mark.slow


def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal 200 characters wide gets."""
    console = Console(file=io.StringIO(), force_terminal=True, width=200, color_system=None, markup=False)
    monkeypatch.setattr(progress, "console", console)
    assert isinstance(console.file, io.StringIO)
    return console.file


def test_without_a_terminal_each_epoch_is_a_line(lab: Lab, capsys: pytest.CaptureFixture[str]):
    history = lab.run(callbacks=[ProgressBar()])["history"]
    lines = capsys.readouterr().err.splitlines()
    for epoch, (line, record) in enumerate(zip(lines, history, strict=True), 1):
        losses = [f"{part} loss {record[f'{part}/loss']:.4g}" for part in ("train", "val")]
        errors = [f"{part} error {record[f'{part}/error']:.2f} %" for part in ("train", "val")]
        speed = f"{record['images_per_second']:,.0f} images/s"
        assert line.startswith(f"epoch {epoch}/2: {losses[0]}, {errors[0]}, {losses[1]}, {errors[1]}, lr ")
        assert f", {speed}, " in line
    log = lab.directory().log_file.read_text()
    assert all(log.count(line) == 1 for line in lines)


def test_a_terminal_has_a_bar_with_named_scores_and_one_for_each_test(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    shown = terminal(monkeypatch)
    last = lab.run(callbacks=[ProgressBar()])["history"][-1]
    assert f"train error {last['train/error']:.2f} % · val error {last['val/error']:.2f} % · " in shown.getvalue()
    assert "epoch 2/2" in shown.getvalue()
    assert "test 2/2" in shown.getvalue()  # a batch of test images, and one of validation images
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("wanted", [EpochLog.epochs, EpochLog.off])
def test_a_terminal_has_lines_too_or_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wanted: EpochLog
):
    shown = terminal(monkeypatch)
    history = lab.run("trainer.max_epochs=1", callbacks=[ProgressBar(wanted)])["history"]
    line = epoch_line(history[0], 1, CLASSIFICATION, "images")
    assert (line in shown.getvalue() + capsys.readouterr().err) == (wanted is EpochLog.epochs)
    assert ("test 2/2" in shown.getvalue()) == (wanted is EpochLog.epochs)


def test_run_log_has_warnings_of_libraries_and_no_chatter(lab: Lab):
    lab.output_dir.mkdir()
    path = lab.output_dir / "run.log"
    logging.captureWarnings(False)  # pytest has put its own function in place of the one of an earlier test
    with warnings.catch_warnings():
        show_on_terminal(logging.ERROR)
        with log_to(path):
            rank_zero_info("💡 Tip: try installing something")
            rank_zero_warn("the images are odd")
            where = {"filename": "x.py", "lineno": 1}
            warnings.warn_explicit("will go", FutureWarning, module="pytorch_lightning.utilities._pytree", **where)
            warnings.warn_explicit("will go, too", FutureWarning, module="my_lab", **where)
    [odd, own] = [line for line in path.read_text().splitlines() if "WARNING" in line]
    assert odd.endswith("the images are odd")
    assert own.endswith("will go, too")
    assert "Tip" not in path.read_text()
