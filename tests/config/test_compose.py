"""Every option of every group and every experiment composes, is checked, builds, and trains."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from support.composing import config as load_config
from support.composing import experiment as of_name

from resnet_lab import ResNetV2
from resnet_lab.config.canonical import canonical, without_effect
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import claimed_depth
from resnet_lab.config.enums import Diagnostics
from resnet_lab.config.groups import ARCHITECTURE_GROUPS, CONFIG_DIR, GROUPS, options, registered
from resnet_lab.config.migrations import rename_settings
from resnet_lab.config.model_enums import Activation, Bridges, Downsample, Resize
from resnet_lab.config.registry import AUGMENTATIONS, DATASETS, SHORTCUTS, UNITS
from resnet_lab.config.stored import from_dict, to_dict, to_stored
from resnet_lab.tasks.cost import measure
from resnet_lab.training.run import run

pytestmark = pytest.mark.slow

EXPERIMENTS = options("experiment")
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "networks.json").read_text())
SERIES = ["data.dims=1", "augment.crop.pad=0", "augment.flip.p=0"]
COMPANIONS = {  # what an option asks for
    "unit=basic": ["bottleneck=none"],
    "unit=conv": ["bottleneck=none", "shortcut=none"],
    "unit=triple": ["bottleneck=none"],
    "unit=series": ["bottleneck=none"],
    "data=ucr": ["data.channels=2", "data.image_size=32", "data.num_classes=7"],
    "data=series_table": ["data.channels=2", "data.image_size=32", "data.num_classes=7"],
    "data=imagenet": ["data.image_size=32"],
    "data=photos": ["data.image_size=32", "data.num_classes=7"],
    "data=imagenette": ["data.image_size=32"],
    **{f"augment={name}": SERIES for name in AUGMENTATIONS if AUGMENTATIONS.info(name).dims == 1},
    "data=image_folder": ["data.num_classes=7"],
    "data=table": ["data.num_classes=7"],
    **{f"data={name}": ["task=attributes"] for name in ("celeba", "digit_bits", "fashion_pairs")},
    "data=idx": ["data.num_classes=7"],
    **{f"units={units}": ["stacks=four"] for units in options("units") if units.startswith("r")},
}


def content(group: str, option: str) -> dict[str, Any]:
    """The settings of an option, from its file or from what is registered."""
    file = CONFIG_DIR / group / f"{option}.yaml"
    return yaml.safe_load(file.read_text()) if file.exists() else registered(group)[option]


CHOICES = [f"{group}={option}" for group in GROUPS if group not in ("experiment", "sweep") for option in options(group)]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_option_composes_and_builds(choice: str) -> None:
    """An axis with an experiment, whose own choices those on the command line beat."""
    group, _, option = choice.partition("=")
    base = ["+experiment=cifar10_20"] if group in ARCHITECTURE_GROUPS else []
    config = load_config(*base, "data=fake", "data.image_size=64", choice, *COMPANIONS.get(choice, []))
    for field, value in (content(group, option) if base else {}).items():
        got = to_dict(config.model)[field]
        assert got == value or (isinstance(value, dict) and value.items() <= got.items())
    large = choice in ("units=n111", "units=n200")  # their experiments are trained below
    net = None if large else ResNetV2(config.model)
    assert net is None or net(torch.randn(2, *config.data.image_shape)).shape == (2, config.model.num_classes)
    assert from_dict(to_stored(config)) == config


@pytest.mark.parametrize("group", ARCHITECTURE_GROUPS)
def test_options_of_a_group_differ(group: str) -> None:
    texts = [yaml.safe_dump(content(group, option)) for option in options(group)]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_has_the_name_and_the_depth_that_it_claims(experiment: str) -> None:
    config = of_name(experiment)
    assert config.name == experiment
    claimed = claimed_depth(config)
    if not re.search(r"\d", experiment):
        assert claimed is None
        return
    named = int(re.findall(r"_(\d+)", experiment)[0])
    # Wide networks count 6n + 4, with 6n + 2 on the longest path; ResNet-D counts its stem as one layer.
    assert claimed == named - (2 if "wrn_" in experiment else -2 if "resnetd_" in experiment else 0)
    assert GOLDEN[experiment]["depth"] == claimed  # which another test measures


@pytest.mark.parametrize(
    ("overrides", "unread"),
    [
        (["shortcut=none", "shortcut_pool=on"], ["shortcut_pool"]),
        (["bridges=stack_concat", "shortcut=conv"], ["shortcut"]),
        (["stacks=one", "downsample=blur"], ["downsample"]),
        (["stacks=one", "downsample=blur", "stem=imagenet"], []),
    ],
)
def test_axes_without_effect_are_known(overrides: list[str], unread: list[str]) -> None:
    assert without_effect(load_config(*overrides).model) == unread


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_chooses_no_axis_without_effect(experiment: str) -> None:
    assert without_effect(of_name(experiment).model) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["downsample=blur", "shortcut_pool=on"], ["downsample=blur_branch", "shortcut_pool=on"]),
        (["downsample=blur", "shortcut=none"], ["downsample=blur_branch", "shortcut=none"]),
        (
            ["bridges=stack_sum", "attention=se", "model.attention.place=post"],
            ["bridges=stack_sum", "attention=se"],
        ),
    ],
)
def test_settings_of_the_same_network_are_the_same_run(one: list[str], other: list[str]) -> None:
    configs = [load_config(*overrides) for overrides in (one, other)]
    assert canonical(configs[0]) == canonical(configs[1])
    nets = []
    for own in configs:
        torch.manual_seed(0)
        nets.append(ResNetV2(own.model).train())
    images = torch.randn(4, 1, 8, 8)
    assert torch.equal(nets[0](images), nets[1](images))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_chooses_axes_only_by_override(experiment: str) -> None:
    """An axis that is set by value would silently defeat a sweep over that axis."""
    content = yaml.safe_load((CONFIG_DIR / "experiment" / f"{experiment}.yaml").read_text())
    assert set(content.get("model", {})) <= {"head"}
    assert set(content.get("model", {}).get("head", {})) <= {"latent_dim"}
    for default in content.get("defaults", []):
        assert default in [*EXPERIMENTS, "_self_"] or all(key.startswith("override /") for key in default)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_runs_on_fake_data_of_its_own_shape(experiment: str, tmp_path: Path) -> None:
    """Of fewer pixels and with one unit in each stack, if its network is large."""
    alone = of_name(experiment)
    size, macs = alone.data.image_size, GOLDEN[experiment]["macs"]
    units = [1] * alone.model.num_stacks if macs > 1e8 else alone.model.units
    while macs > 5e8 and size > 8:
        size, macs = size // 2, macs / 4
    labels = replace(alone.data.table, labels=alone.data.labels)
    small = replace(
        alone,
        data=replace(alone.data, name="fake", whole=False, table=labels, image_size=size, num_images=6),
        model=replace(alone.model, image_size=size, units=units),
        optim=replace(alone.optim, batch_size=2),
        trainer=replace(alone.trainer, max_epochs=1, max_batches=2),
        output_dir=str(tmp_path),
    )
    result = run(small)
    assert result["last"]["epoch"] == 1
    assert result["history"][0]["step"] == 2
    assert result["axes"]["num_classes"] == alone.model.num_classes


def test_a_false_depth_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An experiment of the user's own, as --config-dir finds it."""
    folder = tmp_path / "of, mine"
    (folder / "experiment").mkdir(parents=True)
    mine = folder / "experiment" / "mine_56.yaml"
    mine.write_text("# @package _global_\ndefaults: [{override /units: n3}]\nname: mine_56\n")
    monkeypatch.setattr("resnet_lab.config.compose._config_dirs", [str(folder)])
    with pytest.raises(ConfigError, match="mine_56 claims 56 layers, but its network has 29"):
        measure(load_config("+experiment=mine_56"))
    assert claimed_depth(load_config("+experiment=mine_56", "units=n4")) is None
    assert claimed_depth(load_config("+experiment=cifar10_56", "units=n9")) is None


@pytest.mark.parametrize(
    ("option", "same"),
    [
        ("units=n1", "model.units=[1]"),
        ("units=n4", "model.units=4"),
        ("units=n300", "model.units=[300,300,300]"),
        ("filters=w32", "model.filters=[32,64,128]"),
        ("filters=w20", "model.filters=20"),
        ("bottleneck=r16", "bottleneck=sixteenth"),
        ("bottleneck=r64", "model.reduction=64"),
        ("stacks=one", "model.num_stacks=1"),
    ],
)
def test_a_group_takes_any_number(option: str, same: str) -> None:
    assert canonical(load_config(option)) == canonical(load_config(same))
    assert canonical(load_config("+experiment=cifar10_56", option)) != canonical(load_config("+experiment=cifar10_56"))


@pytest.mark.parametrize(
    ("override", "options"),
    [
        ("cardinality=8", "c16_64"),
        ("bridges=null", "net_sum"),
        ("shortcut_pool=true", "off, on"),
        ("widening=48", "a1"),
    ],
)
def test_a_group_that_is_set_to_a_value_says_its_options(override: str, options: str) -> None:
    group = override.partition("=")[0]
    with pytest.raises(
        ConfigError, match=f"^{override}: set a group to one of its options.*; {group} can be: .*{options}"
    ):
        load_config(override)


def test_a_number_without_an_option_is_refused_with_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"there is no units=n301; units can be: .*r34, or any of n1 to n300"):
        load_config("units=n301")


ENUMS = {
    "activation": Activation,
    "resize": Resize,
    "bridges": Bridges,
    "downsample": Downsample,
    "diagnostics": Diagnostics,
}


@pytest.mark.parametrize("group", ENUMS)
def test_options_of_an_enum_are_its_members(group: str) -> None:
    named = [name for name in options(group) if not (CONFIG_DIR / group / f"{name}.yaml").exists()]
    assert named == sorted(ENUMS[group].__members__)
    for name in named:
        config = load_config(f"{group}={name}")
        assert getattr(config if group == "diagnostics" else config.model, group) is ENUMS[group][name]


def test_options_of_a_registry_are_its_entries() -> None:
    assert set(options("unit")) == {*UNITS, "series"}  # one with kernels of its own
    assert set(options("shortcut")) > set(SHORTCUTS)  # some with numbers of their own
    assert set(DATASETS) <= set(options("data"))


def test_the_axes_are_the_groups_of_the_model() -> None:
    folders = {path.name for path in CONFIG_DIR.iterdir() if path.is_dir() and path.name != "hydra"}
    assert folders <= set(GROUPS)
    of_model = {g for g in folders if "# @package model" in next((CONFIG_DIR / g).glob("*.yaml")).read_text()}
    assert of_model == set(ARCHITECTURE_GROUPS) & folders


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("data.pad=2", "augment.crop.pad=2"),
        ("data.pad=0", "augment.crop.pad=0"),
        ("data.flip=true", "augment.flip.p=0.5"),
        ("data.flip=False", "augment.flip.p=0"),
    ],
)
def test_settings_of_the_command_line_are_known_by_their_old_names(old: str, new: str) -> None:
    assert load_config(old) == load_config(new)
    assert load_config("data=cifar10", old) == load_config("data=cifar10", new)


def test_old_names_are_swept_too() -> None:
    assert rename_settings(["data.pad=0,2", "+data.flip=true,false", "-m", "units=n3", "data.root=pad"]) == [
        "augment.crop.pad=0,2", "augment.flip.p=0.5,0.0", "-m", "units=n3", "data.root=pad",
    ]  # fmt: skip
    assert rename_settings(["model.batch_norm=true,false"]) == ["model.norm=batch,none"]
    assert rename_settings(["model.batch_norm=1"]) == ["model.norm=batch"]
    for override in ("model.batch_norm=maybe", "stack_shortcut=null"):
        with pytest.raises(ConfigError, match=r"must be true or false, got .*; it is now"):
            rename_settings([override])
    with pytest.raises(ConfigError, match=r"data\.flip is now augment\.flip\.p; set that instead"):
        rename_settings(["data.flip=choice(true,false)"])
