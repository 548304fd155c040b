"""The learning-rate finder: a suggestion where the loss falls, a picture, and nothing else."""

from pathlib import Path

import numpy as np
import pytest
from support.composing import config as load_config

from resnet_lab.bench.range_test import RangeTest, range_test
from resnet_lab.command import exit_status
from resnet_lab.config.checks import ConfigError
from resnet_lab.find_lr import main

TINY = ["units=n1", "filters=w8", "trainer.num_threads=1"]


def test_the_suggestion_is_where_the_loss_falls_fastest():
    rates = np.geomspace(1e-6, 10, 200)
    loss = 2 - np.tanh(np.log10(rates) + 2) + 5 * (rates > 1)  # falls around 0.01
    assert RangeTest(rates, loss, loss).suggestion == pytest.approx(0.01, rel=0.1)
    with pytest.raises(ConfigError, match="--lowest"):
        _ = RangeTest(rates, rates, rates).steepest


def test_every_rate_is_that_of_its_step_and_a_loss_that_explodes_ends_the_test():
    found = range_test(load_config(*TINY, "optim.momentum=0"), 1e-5, 1e5, 60)
    assert 20 < len(found.rates) < 60
    np.testing.assert_allclose(np.diff(np.log(found.rates)), np.log(1e10) / 59)
    first = range_test(load_config(*TINY, "optim.momentum=0"), 1e-5, 1e-4, 60)
    assert first.losses[0] == found.losses[0]  # the same network on the same images
    assert len(first.rates) == 60


def test_the_command_draws_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert exit_status(main, [*TINY, "--steps", "80", "--out", "rate.svg"]) == 0
    assert "optim.lr=" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["rate.svg"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--lowest", "1", "--highest", "0.1"], "--lowest < --highest"),
        (["--steps", "3"], "--steps"),
        (["--out", "x.txt"], ".png"),
        (["--out", "nowhere/x.png"], "no folder"),
        (["units=nope"], "units"),
    ],
)
def test_wrong_options_are_refused(options: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    assert exit_status(main, options) == 1
    assert said in capsys.readouterr().err
