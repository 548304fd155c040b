"""The group of augmentations: its options add to what the data set has, and several can be chosen, also in sweeps."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from support.composing import composing
from support.composing import config as load_config

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import to_config
from resnet_lab.config.overrides import overrides_of
from resnet_lab.config.schema import Config
from resnet_lab.sweep.axes import split


def active(config: Config) -> list[str]:
    return [name for name, settings in config.augment.items() if settings.active]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["data=cifar10"], ["crop", "flip"]),
        (["data=cifar10", "augment=standard"], ["crop", "flip"]),
        (["data=cifar10", "augment=none"], []),
        (["data=mnist", "augment=cutout"], ["crop", "cutout"]),
        (["augment=[mixup,cutout]", "data=cifar10"], ["crop", "flip", "cutout", "mixup"]),
        (["data=cifar10", "augment=[none,shift,flip]"], ["shift", "flip"]),
        (["data=cifar10", "augment=[none,mixup]", "augment.mixup.alpha=0"], []),
        (["data=cifar10", "augment.cutmix.alpha=0.5"], ["crop", "flip", "cutmix"]),
    ],
)
def test_options_add_to_the_crop_and_the_flip_of_the_data(overrides: list[str], expected: list[str]) -> None:
    config = load_config(*overrides)
    assert active(config) == expected
    assert load_config(*overrides_of(config)) == config


def test_an_option_leaves_the_crop_of_the_data_as_it_is() -> None:
    assert load_config("data=mnist", "augment=cutout").augment["crop"].pad == 2
    assert load_config("data=mnist", "augment=[crop,cutout]").augment["crop"].pad == 4


def test_an_experiment_can_choose_several_and_the_command_line_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "experiment").mkdir()
    mine = "# @package _global_\ndefaults: [{override /augment: [cutout, mixup]}]\nname: mine\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(mine)
    monkeypatch.setattr("resnet_lab.config.compose._config_dirs", [str(tmp_path)])
    assert active(load_config("+experiment=mine")) == ["crop", "cutout", "mixup"]
    assert active(load_config("+experiment=mine", "augment=trivial")) == ["crop", "trivial"]


def test_lists_of_options_are_swept_and_drawn() -> None:
    with composing("augment=[none,flip],[cutout,mixup]") as composer:
        jobs = [to_config(composer([f"augment={chosen}"])) for chosen in ("[none,flip]", "[cutout,mixup]", "none")]
    assert [active(config) for config in jobs] == [["flip"], ["crop", "cutout", "mixup"], []]
    parse = OverridesParser.create().parse_overrides
    [axis], _ = split(parse(["augment=[cutout],[cutout,mixup],none"]))
    assert [axis.value(u) for u in (0, 0.4, 0.9)] == ["[cutout]", "[cutout,mixup]", "none"]
    with pytest.raises(ConfigError, match=r"^there is no augment=\[cutout,nope\]; augment can be: crop, "):
        split(parse(["augment=[cutout,nope],none"]))
