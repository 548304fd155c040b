"""Wrong values of settings are answered in the lab's own words, before Hydra composes; nothing else escapes."""

import random
from itertools import product
from pathlib import Path

import pytest
from support.composing import config as load_config

from resnet_lab.__main__ import main
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.groups import GROUPS
from resnet_lab.config.hydra_private import options_apart
from resnet_lab.config.messages import ELSEWHERE, INSTEAD, setting_names, setting_types

REFUSED = {
    "trainer.max_epochs=abc": "trainer.max_epochs must be a whole number, got abc",
    "trainer.max_epochs=null": "trainer.max_epochs must be a whole number, got null",
    "trainer.max_epochs=1.5": "trainer.max_epochs must be a whole number, got 1.5",
    "trainer.max_epochs=2,x": "trainer.max_epochs must be a whole number, got x",
    "trainer.max_epochs=9999999": "trainer.max_epochs must be at most 1000000, got 9999999",
    "trainer.max_epochs=${nothing}": "trainer.max_epochs refers to nothing, but there is no such setting",
    "trainer.max_epochs=${data}": "trainer.max_epochs refers to a setting whose value it cannot take",
    "trainer.graphs=2": "trainer.graphs must be true or false or null, got 2",
    "deterministic=7": "deterministic must be true or false, got 7",
    "optim.lr=true": "optim.lr must be a number, got True",
    "optim.lr=nan": "optim.lr must be a number from 0 to 1e+38, got nan",
    "optim.lr=inf": "optim.lr must be at most 1e+38, got inf",
    "optim.milestones=0.5": "optim.schedule.milestones must be a list of numbers, as in [0.5,0.5], got 0.5",
    "optim.schedule.milestones=[a]": "optim.schedule.milestones must be a list of numbers, as in [0.5,0.5], got ['a']",
    "epochs=5": "there is no setting epochs; use trainer.max_epochs=5",
    "attention.kind=se": "there is no setting attention, but model.attention.kind, model.attention.reduction, "
    "model.attention.place, model.attention.bias",
    "epochs=5,6": "there is no setting epochs; use trainer.max_epochs=5,6",
    "optim.learning_rate=0.1": "there is no setting optim.learning_rate; use optim.lr=0.1",
    "+trainer.lr=0.1": "there is no setting trainer.lr; use optim.lr=0.1",
    "data.batch_size=64": "there is no setting data.batch_size; use optim.batch_size=64",
    "weight_decay=0": "there is no setting weight_decay; use optim.weight_decay=0",
    "model=resnet18": "model is a group of settings, not a value: choose a published network, as in +experiment=",
    "trainer.fast_dev_run=true": "there is no setting trainer.fast_dev_run: trainer=debug trains two mini-batches",
    "logger=wandb": "there is no setting logger: every run writes files for TensorBoard",
    "trainer.gpus=1": "there is no setting trainer.gpus: trainer.devices=2 trains one network on two devices",
    "ckpt_path=last.ckpt": "there is no setting ckpt_path: the same command again continues a run",
    "num_workers=4": "there is no setting num_workers; use data.workers=4",
    "hydra.launcher.num_nodes=2": "there is no setting hydra.launcher.num_nodes; ",
    "model.stem=3": "model.stem is a group of settings, not a value: set one of model.stem.kernel, ",
    "model.stem=${seed}": "model.stem is a group of settings, not a value: set one of model.stem.kernel, ",
    "augment=[]": "augment=[]: list options, as in augment=[flip,cutout]; augment can be: crop, cutmix, cutout, ",
    "augment=[1,2]": "augment=[1,2]: list options, as in augment=[flip,cutout]; augment can be: crop, ",
    "augment=[cutout,nope]": "there is no augment=nope; augment can be: crop, ",
    "model.filters={a:1}": "model.filters must be a number or a list of numbers, got {'a': 1}",
    "model.filters=[100000000]": "model.filters must be at most 65536, got [100000000]",
    "model.lineage.norm_eps=0": "model.lineage.norm_eps must be at least 1e-12, got 0.0",
    "data.fit=round": "data.fit must be one of stretch, crop, letterbox, got round",
    "data.root=null": "data.root must be text, got null",
    "data.num_classes=2000000000": "data.num_classes must be at most 1000000, got 2000000000",
    "data.image_size=100000000000000000000000": "data.image_size must be at most 16384, got 1000000000000",
    "augment.crop.pad=1e20": "augment.crop.pad must be a whole number, got 1e+20",
    "objective=x": "objective must be a list, as in [a,b], got x",
    "plugins=null": "plugins must be a list, as in [a,b], got null",
    "plugins={a:1}": "plugins must be a list, as in [a,b], got {'a': 1}",
    "seed=": "seed must be a whole number, got nothing",
    "": "an empty argument: overrides are written setting=value, as in seed=1",
    "+": "+: overrides are written setting=value",
    "seed": "seed: overrides are written setting=value",
    "/": "/: overrides are written setting=value, as in seed=1; a folder of runs is for resnet-lab runs, ",
    "=3": "=3: '' is not the name of a setting",
    "+…=": "+…=: '…' is not the name of a setting",
    "a b=3": "a b=3: 'a b' is not the name of a setting",
    "a\nb=3": r"a\x0ab=3: 'a\nb' is not the name of a setting",
    "+++seed=3": "+++seed=3: 'seed' is not the name of a setting",
    "units@model=n3": "units@model=n3: 'units@model' is not the name of a setting",
    f"{'x' * 300}=1": f"{'x' * 300}=1: '{'x' * 300}' is not the name of a setting",
    "~": "~: a setting cannot be removed",
    "~optim.lr": "~optim.lr: a setting cannot be removed",
    "+seed=1": "+seed=1: write it without the plus: seed exists",
    "+units=n3": "+units=n3: write it without the plus: units exists",
    "seed=[1": "seed=[1: a bracket or quote is in the wrong place",
    "seed=range(1,3)": "seed=range(1,3): to run several values, add -m",
    "seed=1,2": "seed=1,2: to run several values, add -m",
    f"units={'n' * 300}": f"there is no units={'n' * 300}; units can be: n111, ",
    "hydra.run=3": "hydra.run is a group of settings, not a value",
    "data.root=a\0b": r"data.root must not contain a NUL character, got 'a\x00b'",
    'hydra.run.dir="a\0b"': "hydra.run.dir must not contain a NUL character",
    f"data.root={'x' * 5000}": "data.root must have at most 4096 characters, got 5000",
    f"model.units={[1] * 500}": "model.units must have at most 100 entries, got 500",
    f"model.head.hidden={[1] * 500}": "model.head.hidden must have at most 100 entries, got 500",
    f"optim.milestones={[1] * 500}": "optim.schedule.milestones must have at most 100 entries, got 500",
    f"objective={['x'] * 500}": "objective must have at most 100 entries, got 500",
}


@pytest.mark.parametrize("override", REFUSED)
def test_the_message_names_setting_value_and_what_is_right(override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(override)
    assert str(caught.value).startswith(REFUSED[override])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('data: {root: "a\\0b"}', "data.root must not contain a NUL character"),
        ('data: {table: {file: "a\\0b"}}', "data.table.file must not contain a NUL character"),
        ('output_dir: "a\\0b"', "output_dir must not contain a NUL character"),
        ('hydra: {run: {dir: "a\\0b"}}', "a folder in hydra.run, hydra.sweep or hydra.searchpath contains a NUL"),
    ],
)
def test_no_path_in_a_file_has_a_nul(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    (folder / "bad.yaml").write_text(f"# @package _global_\n{content}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["resnet-lab", "--config-dir", "mine", "+experiment=bad"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert (said.err or str(ended.value.code)).startswith(message)
    assert [*tmp_path.iterdir()] == [tmp_path / "mine"]


@pytest.mark.parametrize(
    "override",
    [
        "trainer.graphs=yes",
        "seed='5'",
        "name=5",
        "optim.lr=1",
        "trainer.max_epochs=${optim.batch_size}",
        "model.units=3",
    ],
)
def test_what_can_be_converted_is_taken(override: str) -> None:
    load_config(override)


VALUES = (
    "null", "true", "abc", "''", "", "[]", "[1]", "[[1]]", "[1,abc]", "{}", "{a:1}", "-1", "0", "1", "2", "1.5", "1e20",
    "1e400", "nan", "inf", "-inf", "99999999999999999999", "-99999999999999999999", "${nothing}", "${seed}", "${data}",
    "'a b'", "'é'", "'[3]'", "a=b", "'a,b'", "[null]", "[true]", "[nan]", "'\\n'", "..", "/", "'*'", "0x10",
    "1_000", "07", "1,2,x",
)  # fmt: skip
FOREIGN = ("ListConfig", "DictConfig", "NoneType", "<class", "Traceback", "KeyError", "nterpolation", "subclass")


def answered(cases: list[tuple[str, str]]) -> None:
    """Every case composes, or is refused with one message of at most two lines in the lab's words."""
    for name, value in cases:
        try:
            load_config(f"{name}={value}")
        except ConfigError as error:
            message = str(error)
            assert len(message.splitlines()) in (1, 2), f"{name}={value}: {message}"
            assert not any(word in message for word in FOREIGN), f"{name}={value}: {message}"


CASES = list(product(setting_types(), VALUES))


def test_a_hundred_random_values() -> None:
    answered(random.Random(0).sample(CASES, 100))


@pytest.mark.slow
def test_more_random_values() -> None:
    answered(random.Random(1).sample(CASES, 150))


def test_options_of_hydra_may_stand_anywhere() -> None:
    assert options_apart(["data=fake", "-m", "seed=1,2"]) == (["-m"], ["data=fake", "seed=1,2"])
    assert options_apart(["seed=1", "--cfg", "job", "units=n3"]) == (["--cfg", "job"], ["seed=1", "units=n3"])
    assert options_apart(["seed=1", "seed=1", "--config-dir=x"]) == (["--config-dir=x"], ["seed=1", "seed=1"])


def test_the_option_that_unpickles_a_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="--experimental-rerun loads a pickle file, which can run any code"):
        options_apart(["--experimental-rerun", "config.pickle"])


def test_what_other_tools_have_is_a_setting_here() -> None:
    """The table names settings and groups that exist, and none of its own names is one."""
    known = {*setting_names(), *GROUPS}
    assert known.issuperset(ELSEWHERE.values())
    assert not known.intersection({**ELSEWHERE, **INSTEAD}) - {"model"}
