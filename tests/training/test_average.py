"""Averaged weights: a naive loop's, tested and stored next to the others, and chosen by name."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.graphs import assert_same
from support.lab import FailsAt, Lab, without_times
from torch import Tensor, nn

from resnet_lab import load_run, load_runs
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.optim import OptimConfig
from resnet_lab.evaluate import main as evaluate
from resnet_lab.interrupts import RunFailed
from resnet_lab.report.__main__ import main as report
from resnet_lab.training.average import Average
from resnet_lab.training.result import scores
from resnet_lab.use.export import export

AVERAGED = ("units=n1", "stacks=one", "optim.ema=0.9", "trainer.max_epochs=3")


def test_it_is_a_naive_loop_s():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).double()
    average = Average.of(net, OptimConfig(ema=0.6))
    assert average
    average.follow(net)
    expected = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    for t in range(1, 30):
        net(torch.randn(2, 1, 4, 4, dtype=torch.float64))  # changes the statistics of BatchNorm
        with torch.no_grad():
            for parameter in net.parameters():
                parameter += torch.randn_like(parameter)
        average.update()
        kept = min(0.6, (1 + t) / (10 + t))
        for name, tensor in net.state_dict().items():
            whole = not tensor.is_floating_point()
            expected[name] = tensor.clone() if whole else kept * expected[name] + (1 - kept) * tensor
    torch.testing.assert_close(average.net.state_dict(), expected, rtol=1e-12, atol=1e-12)
    assert expected["1.num_batches_tracked"] == 29
    assert kept == 0.6
    assert Average.of(net, OptimConfig()) is None


@pytest.fixture(scope="module")
def averaged(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("averaged"))
    lab.run(*AVERAGED)
    return lab


@pytest.fixture
def path(averaged: Lab) -> Path:
    return averaged.directory(*AVERAGED).path


def test_weights_are_trained_as_without_it(averaged: Lab, lab: Lab):
    plain = (*AVERAGED, "optim.ema=0")
    result, expected = averaged.directory(*AVERAGED).result(), lab.run(*plain)
    for record, other in zip(result["history"], expected["history"], strict=True):
        assert {name: record[name] for name in other if name not in ("seconds", "images_per_second")} == {
            name: other[name] for name in other if name not in ("seconds", "images_per_second")
        }
    weights = lab.checkpoint(*plain)["state_dict"]
    assert_same({name: averaged.checkpoint(*AVERAGED)["state_dict"][name] for name in weights}, weights)


def test_both_are_tested_and_shown(averaged: Lab, path: Path, tmp_path: Path):
    result = averaged.directory(*AVERAGED).result()
    for when in ("last", "best"):
        numbers = result[when]
        record = result["history"][numbers["epoch"] - 1]
        assert (numbers["val_ema_loss"], numbers["val_ema_error"]) == (record["val/ema_loss"], record["val/ema_error"])
        assert numbers["test_ema_loss"] != numbers["test_loss"]
        evaluated = tmp_path / f"{when}.json"
        assert evaluate([str(path), "--checkpoint", f"{when}_ema", "--json", str(evaluated)]) == 0
        found = json.loads(evaluated.read_text())["runs"][0]
        assert found["error"] == pytest.approx(numbers["test_ema_error"])
        assert found["nll"] == pytest.approx(numbers["test_ema_loss"], rel=1e-5)
    assert "eval mode" not in (path / "run.log").read_text()
    ema = f"{result['last']['val_ema_error']:.2f} %"
    assert f" ({ema} with averaged weights)" in scores(result)
    assert f" (ema {ema})" in (path / "run.log").read_text()
    [record] = load_runs(path.parents[2])
    assert record["best.test_ema_error"] == result["best"]["test_ema_error"]
    assert report([str(path.parents[2]), "--out", str(tmp_path)]) == 0
    [run] = json.loads((tmp_path / "report.json").read_text())["comparisons"][0]["groups"][0]["runs"]
    assert run["test_best_ema"] == result["best"]["test_ema_error"]


def test_an_interrupted_run_ends_with_the_same_average(averaged: Lab, lab: Lab):
    with pytest.raises(RunFailed):
        lab.run(*AVERAGED, callbacks=[FailsAt(1)])
    result = lab.run(*AVERAGED)
    assert without_times(result) == without_times(averaged.directory(*AVERAGED).result())
    assert_same(lab.checkpoint(*AVERAGED)["state_dict"], averaged.checkpoint(*AVERAGED)["state_dict"])


def weights(path: Path, checkpoint: str) -> dict[str, Tensor]:
    return load_run(path, checkpoint)[1].state_dict()


def test_it_can_be_chosen_for_any_use(averaged: Lab, path: Path, tmp_path: Path, lab: Lab):
    state = averaged.checkpoint(*AVERAGED)["state_dict"]
    prefix = "average.net."
    expected = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    assert_same(dict(weights(path, "last_ema")), expected)
    pytest.importorskip("safetensors")
    export(path, "safetensors", tmp_path / "network.safetensors", "last_ema")
    assert_same(dict(weights(tmp_path / "network.safetensors", "last_ema")), expected)
    started = (*AVERAGED, f"pretrained.run={path}", "pretrained.checkpoint=last_ema", "optim.lr=0", "optim.ema=0")
    lab.run(*started)
    begun = lab.checkpoint(*started)["state_dict"]
    assert torch.equal(begun["net.stem.conv.weight"], expected["stem.conv.weight"])


def test_without_averages_it_is_refused_in_one_message(finished: Lab):
    path = finished.directory().path
    for choose in (lambda: load_run(path, "last_ema"), lambda: evaluate([str(path), "--checkpoint", "last_ema"])):
        with pytest.raises(ConfigError, match=r"has no averaged weights, .* optim\.ema=0: choose checkpoint last$"):
            choose()


def damaged(averaged: Lab, change: Any) -> dict[str, Any]:
    checkpoint = copy.deepcopy(averaged.checkpoint(*AVERAGED))
    change(checkpoint["state_dict"])
    return checkpoint


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("average.steps"),
        lambda state: state.pop("average.net.stem.conv.weight"),
        lambda state: state.update({"average.net.stem.conv.weight": torch.zeros(1)}),
        lambda state: state.update({"average.more": torch.zeros(1)}),
    ],
)
def test_a_damaged_average_is_refused(averaged: Lab, lab: Lab, change: Any):
    with pytest.raises(RunFailed):
        lab.run(*AVERAGED, callbacks=[FailsAt(1)])
    torch.save(damaged(averaged, change), lab.directory(*AVERAGED).last)
    with pytest.raises(ConfigError, match="holds another network"):
        lab.run(*AVERAGED)
