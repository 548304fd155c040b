"""Every option of every group and every experiment composes, is checked, builds, and trains."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import yaml

from resnet_lab import ResNetV2, load_config
from resnet_lab.compose import ARCHITECTURE_GROUPS, CONFIG_DIR, GROUPS, claimed_depth, options, plain, revive
from resnet_lab.config import ConfigError
from resnet_lab.model.summary import measure
from resnet_lab.training.run import run

EXPERIMENTS = options("experiment")
GOLDEN = json.loads((Path(__file__).parent / "golden" / "networks.json").read_text())
COMPANIONS = {  # what an option asks for
    "unit=basic": ["bottleneck=none"],
    "unit=conv": ["bottleneck=none", "shortcut=none"],
    "data=imagenet": ["data.image_size=32"],
    "data=image_folder": ["data.num_classes=7"],
    **{f"units={units}": ["stacks=four"] for units in options("units") if units.startswith("r")},
}
CHOICES = [f"{group}={option}" for group in GROUPS if group not in ("experiment", "sweep") for option in options(group)]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_option_composes_and_builds(choice: str) -> None:
    config = load_config("data=fake", "data.image_size=64", choice, *COMPANIONS.get(choice, []))
    large = choice in ("units=n111", "units=n200")  # their experiments are trained below
    net = None if large else ResNetV2(config.model)
    assert net is None or net(torch.randn(2, *config.data.image_shape)).shape == (2, config.model.num_classes)
    assert revive(plain(config)) == config


@pytest.mark.parametrize("group", ARCHITECTURE_GROUPS)
def test_options_of_a_group_differ(group: str) -> None:
    texts = [
        yaml.safe_dump(yaml.safe_load((CONFIG_DIR / group / f"{option}.yaml").read_text())) for option in options(group)
    ]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_has_the_name_and_the_depth_that_it_claims(experiment: str) -> None:
    overrides = [f"+experiment={experiment}"]
    config = load_config(*overrides)
    assert config.name == experiment
    claimed = claimed_depth(overrides)
    assert claimed == int(re.findall(r"_(\d+)", experiment)[-1])
    assert GOLDEN[experiment]["depth"] == claimed  # which another test measures


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_chooses_axes_only_by_override(experiment: str) -> None:
    """An axis that is set by value would silently defeat a sweep over that axis."""
    content = yaml.safe_load((CONFIG_DIR / "experiment" / f"{experiment}.yaml").read_text())
    assert "model" not in content
    assert all(key.startswith("override /") for default in content.get("defaults", []) for key in default)


@pytest.mark.parametrize("group", ARCHITECTURE_GROUPS)
def test_a_choice_on_the_command_line_beats_an_experiment_s(group: str) -> None:
    for option in options(group):
        wanted = yaml.safe_load((CONFIG_DIR / group / f"{option}.yaml").read_text())
        companions = COMPANIONS.get(f"{group}={option}", [])
        config = load_config("+experiment=cifar10_164", f"{group}={option}", *companions)
        for field, value in wanted.items():
            got = plain(config.model)[field]
            assert got == value or (isinstance(value, dict) and value.items() <= got.items())


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_runs_on_fake_data_of_its_own_shape(experiment: str, tmp_path: Path) -> None:
    shape = load_config(f"+experiment={experiment}").data
    overrides = [
        f"+experiment={experiment}",
        "trainer=debug",
        "data=fake",
        f"data.channels={shape.channels}",
        f"data.image_size={shape.image_size}",
        f"data.num_classes={shape.num_classes}",
        "data.num_images=6",
        "optim.batch_size=2",
        f"output_dir={tmp_path}",
    ]
    result = run(load_config(*overrides), overrides, [])
    assert result["last"]["epoch"] == 1
    assert result["history"][0]["step"] == 2
    assert result["axes"]["num_classes"] == shape.num_classes


def test_a_false_depth_is_refused() -> None:
    overrides = ["+experiment=cifar10_56"]
    other = load_config("+experiment=cifar10_20")
    with pytest.raises(ConfigError, match="claims 56 layers, but its network has 20"):
        measure(other, overrides)
    assert claimed_depth(["+experiment=cifar10_56", "units=n9"]) is None
