import itertools
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.composing import config as load_config

from resnet_lab.config.canonical import canonical
from resnet_lab.config.compose import base_of
from resnet_lab.config.groups import options
from resnet_lab.rundir.place import MAX_NAME, directory_name, run_path

pytestmark = pytest.mark.slow

OVERRIDES = ["units=n3", "bottleneck=half", "optim.lr=0.05", "model.num_stacks=2", "seed=3", "optim.momentum=0.8"]


def name(*overrides: str) -> str:
    config = load_config(*overrides)
    return directory_name(config, base_of(config))


@given(st.permutations(OVERRIDES))
@settings(max_examples=5, deadline=None)
def test_order_does_not_matter(overrides: Sequence[str]):
    assert name(*overrides) == "stacks-two_units-n3_bottleneck-half_lr-0.05_momentum-0.8"


def test_path():
    config = load_config("units=n3", "name=mine", "seed=7", "output_dir=/elsewhere")
    assert str(run_path(config, base_of(config))) == "/elsewhere/mine/units-n3/seed-7"
    assert str(run_path(load_config(), base_of(load_config()))) == "outputs/digits/units-n2/seed-0"


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["units=n2"],
        ["model.units=2"],
        ["model.units=[2]"],
        ["model.units=[2,2,2]"],
        ["optim=small"],
        ["data=digits"],
        ["optim.milestones=[0.5,0.75]"],
        ["optim.betas=[0.8,0.9]"],
        ["optim.warmup_lr=0.5"],
        ["model.shortcut_scale=0.7"],
        ["model.lineage.stride_on=first"],
        ["resize=zero_pad"],
        ["data.num_images=7"],
        ["name=digits"],
        ["seed=5"],
        ["output_dir=/tmp/x"],
        ["dry_run=true"],
        ["diagnostics=full"],
        ["trainer.accelerator=cpu"],
        ["trainer.steps_per_call=4"],
        ["trainer.eval_batch_size=7"],
        ["objective=[macs]"],
        ["data.root=elsewhere"],
    ],
)
def test_the_default_however_it_is_typed(overrides: list[str]):
    assert name(*overrides) == "units-n2"
    assert name(*overrides, "bottleneck=half") == "units-n2_bottleneck-half"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["optim=adam", "optim.momentum=0.5"], ["optim=adam"]),
        (["optim.betas=[0.5,0.6]"], []),
        (["optim.schedule=cosine", "optim.lr_factors=[0.3,0.2]"], ["optim.schedule=cosine"]),
        (["optim.schedule=constant", "optim.milestones=[0.1,0.2]"], ["optim.schedule=constant"]),
        (["model.shortcut_scale=0.1"], []),
        (["model.gate_bias=0"], []),
        (["shortcut=dropout", "model.gate_bias=0"], ["shortcut=dropout"]),
        (["optim.weight_decay=0", "optim.decay_all=false"], ["optim.weight_decay=0"]),
        (["norm=none", "model.lineage.norm_eps=1e-3"], ["norm=none"]),
        (["activation=original", "model.lineage.projection_input=raw"], ["activation=original"]),
        (["unit=basic", "bottleneck=none", "model.lineage.stride_on=spatial"], ["unit=basic", "bottleneck=none"]),
        (["data.validation=0", "data.split_seed=4"], ["data.validation=0"]),
        (["stacks=one", "downsample=max_pool"], ["stacks=one"]),
        (["optim.lr=5e-2"], ["optim.lr=0.05"]),
        (["data.image_size=[8,8]"], ["data.image_size=8"]),
        (["filters=w16", "units=n3"], ["model.filters=[16,32,64]", "model.units=3"]),
    ],
)
def test_settings_that_nothing_reads_make_no_other_run(one: list[str], other: list[str]):
    assert canonical(load_config(*one)) == canonical(load_config(*other))
    assert name(*one) == name(*other)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["filters=w16", "units=n3"], "units-n3_filters-w16"),
        (["model.units=[1,2,3]"], "units-1-2-3"),
        (["model.filters=[16,16,32]"], "units-n2_filters-16-16-32"),
        (["bottleneck=atienza"], "units-n2_bottleneck-4-2-2"),
        (["bottleneck=r32"], "units-n2_bottleneck-r32"),
        (["stacks=two", "units=n3"], "stacks-two_units-n3"),
        (["shortcut=exclusive_gating_b7"], "units-n2_shortcut-exclusive_gating_gate_bias--7.0"),
        (["unit=basic", "bottleneck=none"], "units-n2_bottleneck-none_unit-basic"),
        (["model.stem.kernel=5", "head=mlp"], "units-n2_stem.kernel-5_head.hidden-256"),
        (["optim=adam"], "units-n2_optim-adam_lr-0.001_batch_size-128"),
        (["optim.lr=1e-5", "optim.nesterov=true"], "units-n2_lr-1e-05_nesterov-true"),
        (["augment.crop.pad=0"], "units-n2_crop-off"),
        (["data.pad=3", "data.flip=true"], "units-n2_crop.pad-3_flip.p-0.5"),
        (["trainer.max_epochs=3", "data.validation=0"], "units-n2_max_epochs-3_validation-0.0"),
        (["data=cifar10"], "units-n2"),
        (["data=cifar10", "units=n9"], "units-n9"),
        (["name=mine", "data=cifar10", "units=n9"], "units-n9_data-cifar10"),
        (["data.split_seed=${seed}", "seed=3"], "units-n2_split_seed-seed"),
        (["data.split_seed=3", "seed=3"], "units-n2_split_seed-seed"),
        (["data.split_seed=3", "seed=2"], "units-n2_split_seed-3"),
        (["+experiment=cifar10_56"], "units-n6"),
        (["+experiment=cifar10_56", "bottleneck=half"], "units-n6_bottleneck-half"),
        (["name=cifar10_56", "units=n6", "data=cifar10", "optim=sgd", "trainer=cifar"], "units-n6"),
        (["name=mine", "+experiment=digits_20"], "units-n2"),
    ],
)
def test_names_are_the_units_and_what_differs_in_the_words_of_the_settings(overrides: list[str], expected: str):
    assert name(*overrides) == expected


def test_a_folder_of_images_is_named_by_its_last_component(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("a b=c,d") / "my pets"
    for part in ("train/cat", "train/dog", "test/cat"):
        (root / part).mkdir(parents=True)
    overrides = ["data=image_folder", f'data.root="{root}"', "data.image_size=16", "units=n3"]
    assert name(*overrides) == "units-n3_image_size-16_root-my-pets"
    many = ["filters=w16", "optim.lr=0.05", "optim.batch_size=32", "trainer.max_epochs=5", "optim.weight_decay=0.001"]
    assert name(*overrides, *many).startswith(
        "units-n3_filters-w16_lr-0.05_batch_size-32_weight_decay-0.001_max_epochs-5"
    )


NAMED = ("stacks", "units", "filters", "bottleneck", "activation", "downsample")


@pytest.mark.parametrize("choice", [f"{group}={option}" for group in NAMED for option in options(group)])
def test_an_axis_stands_in_a_name_as_it_is_typed(choice: str):
    """`units-n3` is `units=n3`; lists that are not one number for all stacks stand whole."""
    if not re.search(r"=r\d|atienza", choice):
        typed = choice.replace("=", "-")
        assert name("data=cifar10", choice) in (typed, "units-n2", f"units-n2_{typed}", f"{typed}_units-n2")


VALUES = {
    "model.units": ["1", "[1,2,3]", "7"],
    "optim.lr": ["0.3", "1e-7"],
    "shortcut": ["none", "dropout", "exclusive_gating_b7"],
    "optim": ["adam", "sgd", "adamw"],
    "optim.schedule": ["step", "cosine"],
    "augment.crop.pad": ["0", "2"],
    "data.mean": ["null", "[0.5]"],
    "trainer.max_epochs": ["50", "3"],
}


def test_names_differ_where_runs_differ_and_are_one_folder_name():
    seen: dict[str, object] = {}
    for choice in itertools.islice(itertools.product(*VALUES.values()), 0, None, 7):
        config = load_config(*(f"{setting}={value}" for setting, value in zip(VALUES, choice, strict=True)))
        made = directory_name(config, base_of(config))
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", made)
        assert len(made.encode()) <= MAX_NAME
        assert seen.setdefault(made, canonical(config)) == canonical(config)
    assert any(re.search(r"_[0-9a-f]{8}$", made) and made.startswith("units-") for made in seen)
