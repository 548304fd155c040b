"""Runs that start from a trained network: what they take, what stays, what is refused."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from support.composing import config as load_config
from support.graphs import CountingCapture, assert_same
from support.lab import FailsAt, Lab, same_weights, without_times
from torch import Tensor

from resnet_lab import load_run
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.overrides import overrides_of
from resnet_lab.config.pretrained import PretrainedConfig
from resnet_lab.interrupts import RunFailed
from resnet_lab.report.collect import collect
from resnet_lab.report.comparison import compare
from resnet_lab.rundir.identity import identity
from resnet_lab.rundir.place import directory_name
from resnet_lab.tasks.base import task_of
from resnet_lab.tasks.pretrained import freeze, identified, lr_factors
from resnet_lab.training import module
from resnet_lab.training.optimizer import build_optimizer, set_rates
from resnet_lab.training.runtime import Runtime
from resnet_lab.training.schedule import rates
from resnet_lab.training.step import Totals

SMALL = ("units=n1", "data.num_images=32", "data.validation=8", "trainer.max_epochs=1")
OUTPUTS = ("head.classifier.weight", "head.classifier.bias")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a trained run, with other classes than those of `new_classes`."""
    lab = Lab(tmp_path_factory.mktemp("trained"))
    lab.run(*SMALL, "seed=3", "trainer.max_epochs=2")
    return lab.directory(*SMALL, "seed=3", "trainer.max_epochs=2").path


def starting_from(run: Path, *changes: str) -> tuple[str, ...]:
    return (*SMALL, f"pretrained.run={run}", *changes)


def weights_of(lab: Lab, *changes: str) -> dict[str, Tensor]:
    state: dict[str, Tensor] = lab.checkpoint(*changes)["state_dict"]
    return {name.removeprefix("net."): tensor for name, tensor in state.items()}


NOT_TRAINED = ("optim.lr=0.0", "optim.weight_decay=0.0")


@pytest.mark.parametrize("classes", [3, 2])
def test_what_is_taken_and_what_is_new(lab: Lab, trained: Path, said: pytest.LogCaptureFixture, classes: int):
    changes = starting_from(trained, *NOT_TRAINED, f"data.num_classes={classes}")
    result = lab.run(*changes)
    _, net = load_run(trained)
    weights = weights_of(lab, *changes)
    taken = {name: value for name, value in net.named_parameters() if classes == 3 or name not in OUTPUTS}
    assert all(torch.equal(weights[name], value) for name, value in taken.items())
    assert result["pretrained"]["run"] == str(trained)
    assert result["pretrained"]["digest"] == identified(lab.config(*changes))[0].pretrained.digest
    assert result["pretrained"]["new"] == ([] if classes == 3 else ["head.classifier"])
    count = sum(value.numel() for value in taken.values())
    new = "" if classes == 3 else "; new: head.classifier, since the network was trained with 3 classes"
    assert f"note: {count:,} params are taken from {trained} (last epoch){new}\n" in said.text
    if classes == 2:  # drawn from the seed
        fresh = lab.run(*SMALL, *NOT_TRAINED, "data.num_classes=2")
        assert fresh["pretrained"] is None
        drawn = weights_of(lab, *SMALL, *NOT_TRAINED, "data.num_classes=2")
        assert all(torch.equal(weights[name], drawn[name]) for name in OUTPUTS)


def test_classes_of_other_names_have_outputs_of_their_own(lab: Lab, trained: Path, tmp_path: Path):
    copy = shutil.copytree(trained, tmp_path / "copy")
    checkpoint = torch.load(copy / "checkpoints/last.ckpt", weights_only=True)
    checkpoint["resnet_lab"]["images"]["classes"] = ["a", "b", "c"]
    torch.save(checkpoint, copy / "checkpoints/last.ckpt")
    assert lab.run(*starting_from(copy))["pretrained"]["new"] == ["head.classifier"]


@pytest.mark.parametrize(("optimizer", "precision"), [("sgd", "32-true"), ("adamw", "bf16-mixed")])
def test_frozen_parts_stay_to_the_last_bit_and_nothing_else(lab: Lab, trained: Path, optimizer: str, precision: str):
    frozen = ("stem", "stacks.0.units.0")
    changes = starting_from(trained, f"pretrained.freeze=[{','.join(frozen)}]", f"optim={optimizer}")
    changes = (*changes, f"trainer.precision={precision}")
    lab.run(*changes)
    weights, before = weights_of(lab, *changes), load_run(trained)[1].state_dict()
    same = {name for name in weights if torch.equal(weights[name], before[name])}
    assert same == {name for name in weights if name.startswith(frozen)}
    assert any("running_mean" in name for name in same)
    assert any("num_batches_tracked" in name for name in same)


def test_the_factor_slows_down_what_is_taken(lab: Lab, trained: Path):
    changes = starting_from(trained, "data.num_classes=2", "pretrained.lr_factor=0.0", "optim.weight_decay=0.1")
    lab.run(*changes)
    weights, before = weights_of(lab, *changes), load_run(trained)[1]
    assert all(torch.equal(weights[n], value) for n, value in before.named_parameters() if n not in OUTPUTS)
    [state] = lab.checkpoint(*changes)["optimizer_states"]
    assert [(group["lr"], len(group["params"])) for group in state["param_groups"]] == [
        (pytest.approx(0.01), 2),
        (0.0, len(list(before.parameters())) - 2),
    ]


def test_half_the_rate_by_factor_is_half_the_rate(lab: Lab, trained: Path):
    """Every parameter is taken, so that the factor is one of the whole learning rate."""
    by_factor, by_rate = starting_from(trained, "pretrained.lr_factor=0.5"), starting_from(trained, "optim.lr=0.05")
    lab.run(*by_factor)
    lab.run(*by_rate)
    assert same_weights(lab.checkpoint(*by_factor), lab.checkpoint(*by_rate))


def test_an_interrupted_run_continues_as_if_it_had_not_been(tmp_path: Path, trained: Path):
    broken, straight = Lab(tmp_path / "broken"), Lab(tmp_path / "straight")
    changes = starting_from(trained, "data.num_classes=2", "pretrained.freeze=[stem]", "pretrained.lr_factor=0.1")
    changes = (*changes, "trainer.max_epochs=2")
    with pytest.raises(RunFailed):
        broken.run(*changes, callbacks=[FailsAt(1)])
    assert without_times(broken.run(*changes)) == without_times(straight.run(*changes))
    assert same_weights(broken.checkpoint(*changes), straight.checkpoint(*changes))


def test_the_run_is_identified_by_the_weights_and_not_by_their_place(lab: Lab, trained: Path, tmp_path: Path):
    moved = shutil.copytree(trained, tmp_path / "moved")
    here, there = (identified(lab.config(*starting_from(run)))[0] for run in (trained, moved))
    assert identity(here) == identity(there) != identity(lab.config(*SMALL))
    best = identified(lab.config(*starting_from(trained, "pretrained.checkpoint=best")))[0]
    assert (identity(best) == identity(here)) == (best.pretrained.digest == here.pretrained.digest)
    lab.run(*starting_from(trained))
    assert lab.run(*starting_from(moved), callbacks=[FailsAt(0)])["pretrained"]["run"] == str(trained)
    checkpoint = torch.load(moved / "checkpoints/last.ckpt", weights_only=True)
    checkpoint["state_dict"]["net.stem.conv.weight"][0] += 1
    torch.save(checkpoint, moved / "checkpoints/last.ckpt")
    result = lab.run(*starting_from(moved))
    assert result["pretrained"]["run"] == str(moved)
    assert result["pretrained"]["digest"] != here.pretrained.digest
    stored = lab.directory(*starting_from(moved)).stored_config()
    repeated = load_config(*overrides_of(stored))
    assert identity(repeated) == identity(stored)
    assert repeated.pretrained == stored.pretrained
    with pytest.raises(ConfigError, match="they are other weights"):
        lab.run(*starting_from(moved, f"pretrained.digest={here.pretrained.digest}"))


def test_the_directory_is_named_after_the_weights():
    pretrained = PretrainedConfig(run="elsewhere", digest="0123456789abcdef", freeze=["stem"], lr_factor=0.1)
    config = dataclasses.replace(load_config(), pretrained=pretrained)
    assert directory_name(config, load_config()) == "units-n2_pretrained-0123456789abcdef_freeze-stem_lr_factor-0.1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["units=n2"], r"holds another network: model.units is \[1, 1\] there, \[2, 2\] here$"),
        (["data.channels=1"], "model.in_channels is 3 there, 1 here$"),
        (
            ["pretrained.freeze=[stacks.2]"],
            "no part stacks.2; choose from stem, stacks, stacks.0, stacks.1, head,",
        ),
        (["pretrained.freeze=[stem,stacks,head]"], "leaves nothing to train: omit head"),
        (["pretrained.freeze=[head]", "data.num_classes=2"], "head cannot stay as it is, since head.classifier is new"),
        (
            ["pretrained.checkpoint=first"],
            "pretrained.checkpoint must be one of last, best, last_ema, best_ema, got first",
        ),
        (["pretrained.lr_factor=-1"], "pretrained.lr_factor must be at least 0"),
        (["pretrained.run=/nowhere"], "pretrained.run: /nowhere is not a run directory: there is no such folder"),
        (["pretrained.run=null", "pretrained.freeze=[stem]"], "freeze needs a trained network: set pretrained.run"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_created(
    lab: Lab, trained: Path, changes: list[str], message: str
):
    with pytest.raises(ConfigError, match=message):
        lab.run(*starting_from(trained), *changes)
    assert not lab.output_dir.exists()


def test_a_report_compares_it_with_a_start_from_random_weights(lab: Lab, trained: Path):
    lab.run(*SMALL)
    digest = lab.run(*starting_from(trained))["pretrained"]["digest"]
    [comparison] = compare(collect([lab.output_dir]).done)
    labels = {"pretrained.digest=none", f"pretrained.digest={digest}"}
    assert {group.label for group in comparison.groups} == labels


def test_settings_of_random_weights_may_differ(lab: Lab, trained: Path):
    assert lab.run(*starting_from(trained, "model.lineage.init=fan_in"))["pretrained"]["new"] == []


def test_without_a_trained_network_nothing_is_named_or_stored_of_it(lab: Lab):
    config = lab.config(*SMALL)
    assert identified(config) == (config, None)
    assert "pretrained" not in str(lab.directory(*SMALL).path.relative_to(lab.output_dir))
    lab.run(*SMALL)
    stored = json.loads(lab.directory(*SMALL).result_file.read_text())
    assert stored["pretrained"] is None
    [state] = lab.checkpoint(*SMALL)["optimizer_states"]
    assert len(state["param_groups"]) == 1
    assert "lr_factor" not in state["param_groups"][0]


@pytest.mark.usefixtures("emulated")
def test_replayed_steps_with_frozen_and_slower_parts_are_the_eager_ones(lab: Lab, trained: Path):
    config = lab.config(*starting_from(trained, "pretrained.freeze=[stem]", "pretrained.lr_factor=0.1"))

    def after_steps(capture: CountingCapture | None) -> Any:
        torch.manual_seed(0)
        task = task_of(config)
        net, totals = task.network(), Totals(task, torch.device("cpu"))
        freeze(net, config.pretrained.freeze)
        optimizer = build_optimizer(config.optim, net, lr_factors(net, config.pretrained, ["head.classifier"]))
        step = module.training_step(net, optimizer, config.optim, totals, Runtime.resolve(config, 1), capture)
        for number in range(3):
            set_rates(optimizer, rates(config.optim, number, 3))
            step(torch.randn(10, *config.data.image_shape), torch.arange(10) % 3)
        return net.state_dict(), optimizer.state_dict()["state"], totals.means()

    assert_same(after_steps(CountingCapture()), after_steps(None))
