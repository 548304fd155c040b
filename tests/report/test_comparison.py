"""What is comparable is grouped over seeds; what is not is distinguished."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from runs import AXES, DATA, OPTIM, sweep, write

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.model import ModelConfig
from resnet_lab.report.__main__ import main
from resnet_lab.report.axes import axes
from resnet_lab.report.collect import collect
from resnet_lab.report.comparison import Comparison, compare
from resnet_lab.report.question import Question
from resnet_lab.report.values import Fields, levels


def found(root: Path, *by: str) -> list[Comparison]:
    return compare(collect([root]).done, by)


def test_groups_over_seeds_are_named_by_what_differs(tmp_path: Path):
    [comparison] = found(sweep(tmp_path, {"none": [5, 6, 7], "projection": [4, 5, 6]}))
    assert comparison.title == "digits, 3 epochs"
    assert [(group.label, sorted(group.runs)) for group in comparison.groups] == [
        ("shortcut=none", ["seed=0", "seed=1", "seed=2"]),
        ("shortcut=projection", ["seed=0", "seed=1", "seed=2"]),
    ]


def test_a_label_leaves_out_what_its_group_does_not_read(tmp_path: Path):
    depths = {"none": {"rate": 0.0}, "some": {"rate": 0.5, "per": "image"}}
    for name, settings in depths.items():
        write(tmp_path / name, axes={"stochastic_depth": settings})
    [comparison] = found(tmp_path)
    labels = ["stochastic_depth.rate=0.0", "stochastic_depth.rate=0.5"]
    assert [group.label for group in comparison.groups] == labels
    assert comparison.axes == ["stochastic_depth.rate"]  # `per` has one value where it is read
    write(tmp_path / "others", axes={"stochastic_depth": {"rate": 0.5, "per": "batch", "over": "constant"}})
    [comparison] = found(tmp_path)
    assert [group.label for group in comparison.groups] == [
        "stochastic_depth.rate=0.0",
        "stochastic_depth.rate=0.5 stochastic_depth.over=constant stochastic_depth.per=batch",
        "stochastic_depth.rate=0.5 stochastic_depth.over=linear stochastic_depth.per=image",
    ]


def test_settings_that_one_option_sets_are_named_by_it(tmp_path: Path):
    paper = {"rate": 0.5, "over": "linear", "per": "batch", "rescale": "test"}
    timm = {"rate": 0.1, "over": "linear_from_zero", "per": "image", "rescale": "training"}
    for group, settings in {"none": {"rate": 0.0}, "paper": paper, "timm": timm}.items():
        for seed, groups in enumerate([1, 8]):
            axes = {"stochastic_depth": settings, "cardinality": groups, "unit": "bottleneck"}
            write(tmp_path / f"{group}-{groups}", seed, axes=axes)
    [comparison] = found(tmp_path)
    assert comparison.axes == ["stochastic_depth", "cardinality"]
    assert [group.label for group in comparison.groups][:2] == [
        "stochastic_depth=none cardinality=1",
        "stochastic_depth=none cardinality=8",
    ]
    write(tmp_path / "other", axes={"stochastic_depth": timm | {"rate": 0.2}, "unit": "bottleneck"})
    [comparison] = found(tmp_path)
    assert "stochastic_depth.rate" in comparison.axes


def test_options_that_differ_in_a_setting_of_their_own_stay_apart(tmp_path: Path):
    for reduction in (4, 16):
        for name, own in {"none": {"kind": "none"}, "se_bias": {"kind": "se", "bias": True}}.items():
            write(tmp_path / f"{name}-{reduction}", axes={"attention": own | {"reduction": reduction}})
    [comparison] = found(tmp_path)
    assert [group.label for group in comparison.groups] == [
        "attention=none",
        "attention=se_bias attention.reduction=4",
        "attention=se_bias attention.reduction=16",
    ]


def test_groups_of_an_ordered_axis_are_in_its_order(tmp_path: Path):
    reaches = ["stack_concat", "unit", "net_sum", "none", "stack"]
    for name in reaches:
        write(tmp_path / name, axes={"bridges": name})
    [comparison] = found(tmp_path)
    in_order = ["none", "unit", "stack", "net_sum", "stack_concat"]
    assert [group.fields["bridges"] for group in comparison.groups] == in_order
    assert levels("bridges", (group.fields for group in comparison.groups)) == in_order


@pytest.mark.parametrize("sweeper", ["search", "population"])
def test_the_trials_of_a_search_are_groups(tmp_path: Path, sweeper: str):
    """Each has settings of its own, of the recipe as well, so that by architecture hardly two are comparable."""
    for i, lr in enumerate((0.1, 0.2, 0.4)):
        optim = OPTIM | {"lr": lr}
        write(tmp_path / str(i), optim=optim, sweeper=sweeper)
    done = collect([tmp_path]).done
    by, why = Question().grouping(done)
    [comparison] = compare(done, by)
    assert [group.label for group in comparison.groups] == ["optim.lr=0.1", "optim.lr=0.2", "optim.lr=0.4"]
    assert why.startswith("a search or a population made these runs")
    assert Question(by=["units"]).grouping(done) == (["units"], "")


def test_of_some_trials_of_a_search_the_report_speaks_alone(tmp_path: Path):
    for i, sweeper in enumerate(("search", "grid", None)):
        write(tmp_path / "runs" / str(i), optim=OPTIM | {"lr": 1 / (i + 2)}, sweeper=sweeper)
    found = collect([tmp_path]).done
    said = "a search or a population made 1 of 3 runs; --by all makes every setting that varies an axis"
    assert Question().grouping(found) == ([], said)
    assert Question().grouping(found[1:]) == ((), "")
    assert main([str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    assert said in (tmp_path / "out" / "report.md").read_text()


def test_missing_seeds_are_listed(tmp_path: Path):
    [comparison] = found(sweep(tmp_path, {"none": [5, 6, 7], "projection": [4]}))
    assert [group.missing for group in comparison.groups] == [[], ["seed=1", "seed=2"]]


def test_an_architecture_that_a_group_has_not_is_not_missing(tmp_path: Path):
    """It may be one that cannot be, as a basic unit with a bottleneck."""
    for unit, reduction, seed in (("basic", 1, 0), ("bottleneck", 1, 0), ("bottleneck", 4, 0), ("bottleneck", 4, 1)):
        axes = AXES | {"unit": unit, "reduction": [reduction]}
        write(tmp_path / f"{unit}-{reduction}-{seed}", seed, axes=axes)
    [comparison] = compare(collect([tmp_path]).done, ["unit"])
    assert [(group.label, group.missing) for group in comparison.groups] == [
        ("unit=basic", []),
        ("unit=bottleneck", []),
    ]
    write(tmp_path / "basic-1-1", 1, axes=AXES | {"unit": "basic", "reduction": [1]})
    [comparison] = compare(collect([tmp_path]).done, ["unit"])
    assert [group.missing for group in comparison.groups] == [[], ["seed=1 reduction=1"]]


@pytest.mark.parametrize(
    ("others", "named"),
    [
        ({"data": DATA | {"pad": 4}}, "augment.crop.pad=4"),
        ({"data": DATA | {"validation": 0}}, "data.validation=0"),
        ({"epochs": 4}, "4 epochs"),
        ({"optim": OPTIM | {"lr": 0.2}}, "optim.lr=0.2"),
        ({"precision": "bf16-mixed"}, "precision=bf16-mixed"),
        ({"trainer": {"max_epochs": 3, "max_batches": 5}}, "max_batches=5"),
    ],
)
def test_incomparable_runs_are_never_averaged(tmp_path: Path, others: dict[str, Any], named: str):
    write(tmp_path / "a", seed=0)
    write(tmp_path / "b", seed=1, **others)
    comparisons = found(tmp_path)
    assert [len(comparison.groups[0].runs) for comparison in comparisons] == [1, 1]
    assert named in comparisons[1].title


def test_runs_from_random_and_from_trained_weights_are_compared(tmp_path: Path):
    trained = {"run": "/elsewhere", "digest": "0123456789abcdef"}
    for seed in range(2):
        write(tmp_path / f"random-{seed}", seed)
        write(tmp_path / f"trained-{seed}", seed, pretrained=trained)
        write(tmp_path / f"moved-{seed}", seed + 2, pretrained=trained | {"run": "/there", "checkpoint": "best"})
        write(tmp_path / f"frozen-{seed}", seed, pretrained=trained | {"freeze": ["stem"]})
    [comparison] = found(tmp_path)
    assert [(group.label, len(group.runs)) for group in comparison.groups] == [
        ("pretrained.digest=0123456789abcdef pretrained.freeze=none", 4),
        ("pretrained.digest=0123456789abcdef pretrained.freeze=stem", 2),
        ("pretrained.digest=none pretrained.freeze=none", 2),
    ]
    assert len(found(tmp_path, "pretrained.digest")[0].groups) == 2


def test_where_the_files_lie_does_not_matter_but_for_own_images(tmp_path: Path):
    for seed, root in enumerate(("here", "there")):
        write(tmp_path / "digits" / root, seed, data=DATA | {"root": root})
        write(tmp_path / "own" / root, seed, data=DATA | {"root": root, "name": "image_folder"})
    assert sorted(len(comparison.groups[0].runs) for comparison in found(tmp_path)) == [1, 1, 2]


def test_a_split_that_follows_the_seed_is_one_setting(tmp_path: Path):
    for seed in range(3):
        write(tmp_path / str(seed), seed, data=DATA | {"split_seed": seed})
    [comparison] = found(tmp_path)
    assert list(comparison.groups[0].runs) == ["seed=0", "seed=1", "seed=2"]
    assert list(comparison.groups[0].blocks.values()) == [f"data.split_seed={seed}" for seed in range(3)]


def test_lists_that_say_the_same_are_the_same_architecture():
    def read(**settings: list[int]) -> Fields:
        return axes(ModelConfig(in_channels=1, num_classes=10, num_stacks=3, **settings))

    short = read(units=[3], filters=[16], reduction=[4])
    long = read(units=[3, 3, 3], filters=[16, 32, 64], reduction=[4, 4, 4])
    other = read(units=[3], filters=[16, 16, 16], reduction=[4, 2, 2])
    assert short == long
    assert short["filters"] == 16
    assert (other["filters"], other["reduction"]) == ((16, 16, 16), (4, 2, 2))


def test_a_field_that_an_older_version_lacked_is_the_default(tmp_path: Path):
    write(tmp_path / "old", seed=0)
    write(tmp_path / "new", seed=1, axes={"activation": "full_preactivation", "batch_norm": True})
    [comparison] = found(tmp_path)
    assert len(comparison.groups) == 1


def test_the_same_run_twice_counts_once(tmp_path: Path):
    write(tmp_path / "a", seed=0)
    write(tmp_path / "b", seed=0)
    [comparison] = found(tmp_path)
    assert len(comparison.groups[0].runs) == 1
    assert "left out" in comparison.notes[0]


def test_by_axis_pairs_what_else_differs(tmp_path: Path):
    for shortcut in ("none", "projection"):
        for units in (3, 5):
            axes = {"shortcut": shortcut, "units": [units]}
            write(tmp_path / f"{shortcut}{units}", axes=axes)
    assert len(found(tmp_path)[0].groups) == 4
    [comparison] = found(tmp_path, "model.shortcut")
    assert [group.label for group in comparison.groups] == ["shortcut=none", "shortcut=projection"]
    assert set(comparison.groups[0].runs) == {"seed=0 units=3", "seed=0 units=5"}
    assert comparison.notes[0].startswith("each group pools architectures that differ in units: ")


def test_what_follows_from_the_axis_hides_no_difference(tmp_path: Path):
    """As filters do from the reduction in a sweep at equal cost."""
    for reduction, filters in ((1, 18), (2, 32)):
        for seed, split in product(range(3), range(2)):
            axes = {"unit": "bottleneck", "reduction": [reduction], "filters": [filters]}
            error = 40 + reduction + seed / 10 + split
            write(tmp_path / f"{reduction}{seed}{split}", seed, error, axes=axes, data=DATA | {"split_seed": split})
    [comparison] = found(tmp_path, "reduction")
    assert [group.label for group in comparison.groups] == ["reduction=1", "reduction=2"]
    assert set(comparison.groups[0].blocks.values()) == {"data.split_seed=0", "data.split_seed=1"}
    assert comparison.notes == ["each group has its own filters, to which differences may be due as well"]


@pytest.mark.parametrize(("name", "label"), [("bottleneck", "reduction=1"), ("stem", "stem=cifar")])
def test_by_takes_the_names_of_groups_and_of_parts(tmp_path: Path, name: str, label: str):
    write(tmp_path / "a")
    assert found(tmp_path, name)[0].groups[0].label.startswith(label)


def test_by_an_unknown_field_says_which_there_are(tmp_path: Path):
    sweep(tmp_path, {"none": [5], "projection": [4]})
    with pytest.raises(ConfigError, match=r"--by depht: no such setting in these runs; settings that vary: shortcut$"):
        found(tmp_path, "depht")
    with pytest.raises(ConfigError, match=r"--by seed: seeds are repetitions"):
        found(tmp_path, "seed")


def test_any_setting_can_be_an_axis(tmp_path: Path):
    for seed, (lr, epochs) in product(range(2), ((0.1, 3), (0.2, 3), (0.1, 4))):
        others = {"optim": OPTIM | {"lr": lr}, "trainer": {"max_epochs": epochs}, "epochs": epochs}
        write(tmp_path / f"{lr}-{epochs}-{seed}", seed, **others)
    assert len(found(tmp_path)) == 3
    [three, four] = found(tmp_path, "optim.lr")
    assert [group.label for group in three.groups] == ["optim.lr=0.1", "optim.lr=0.2"]
    assert [group.label for group in four.groups] == ["optim.lr=0.1"]
    [comparison] = found(tmp_path, "optim", "trainer.max_epochs")
    assert [(group.label, len(group.runs)) for group in comparison.groups] == [
        ("optim.lr=0.1 trainer.max_epochs=3", 2),
        ("optim.lr=0.1 trainer.max_epochs=4", 2),
        ("optim.lr=0.2 trainer.max_epochs=3", 2),
    ]


def test_all_settings_that_vary_can_be_axes(tmp_path: Path):
    """As in a search: each trial is compared with its settings."""
    for seed, lr in enumerate((0.1, 0.2, 0.3)):
        data = DATA | {"split_seed": seed}
        write(tmp_path / str(lr), seed, optim=OPTIM | {"lr": lr}, axes={"units": [3 + seed]}, data=data)
    [comparison] = found(tmp_path, "all")
    assert comparison.axes == ["units", "optim.lr"]
    assert len(comparison.groups) == 3


def test_splits_are_blocks_and_can_be_an_axis(tmp_path: Path):
    for seed, split in product(range(2), (0, 7)):
        write(tmp_path / f"{seed}-{split}", seed, data=DATA | {"split_seed": split})
    [comparison] = found(tmp_path)
    [group] = comparison.groups
    assert {key: group.blocks[key] for key in sorted(group.runs)} == {
        "seed=0 data.split_seed=0": "data.split_seed=0",
        "seed=0 data.split_seed=7": "data.split_seed=7",
        "seed=1 data.split_seed=0": "data.split_seed=0",
        "seed=1 data.split_seed=7": "data.split_seed=7",
    }
    [comparison] = found(tmp_path, "data.split_seed")
    assert [(group.label, len(group.runs)) for group in comparison.groups] == [
        ("data.split_seed=0", 2),
        ("data.split_seed=7", 2),
    ]


def test_what_no_shortcut_looks_at_does_not_part_runs(tmp_path: Path):
    for seed, bias in enumerate((-6.0, -7.0)):
        write(tmp_path / f"p{seed}", seed, axes={"gate_bias": bias})
        write(tmp_path / f"g{seed}", seed, axes={"shortcut": "shortcut_gating", "gate_bias": bias})
    [comparison] = found(tmp_path)
    assert sorted(len(group.runs) for group in comparison.groups) == [1, 1, 2]


def test_names_stand_for_all_their_settings(tmp_path: Path):
    """What varies among runs of one name is an axis as well; seeds remain repetitions."""
    for name, lr, units in (("slow", 0.01, 3), ("fast", 0.1, 3), ("fast", 0.1, 5)):
        for seed in (0, 1):
            path = write(tmp_path / name / f"{units}-{seed}", seed, axes={"units": [units]}, optim=OPTIM | {"lr": lr})
            config = yaml.safe_load((path / "config.yaml").read_text())
            (path / "config.yaml").write_text(yaml.safe_dump(config | {"name": name}))
    [comparison] = compare(collect([tmp_path]).done, ["name"])
    labels = {group.label: len(group.runs) for group in comparison.groups}
    assert labels == {"name=fast units=3": 2, "name=fast units=5": 2, "name=slow units=3": 2}


def test_what_tells_comparisons_apart_is_offered_as_an_axis(tmp_path: Path):
    for lr in (0.1, 0.2):
        write(tmp_path / f"{lr}", optim=OPTIM | {"lr": lr})
    assert [comparison.notes for comparison in found(tmp_path)] == [
        ["--by all makes optim.lr an axis of one comparison"],
        [],
    ]
    [first, _] = found(tmp_path, "units")
    assert "--by units optim.lr makes optim.lr an axis of one comparison" in first.notes
    assert len(found(tmp_path, "units", "optim.lr")) == len(found(tmp_path, "all")) == 1
