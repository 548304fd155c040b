from pathlib import Path

import pytest
from support.composing import experiment as of_name
from support.composing import of_experiment

from resnet_lab.config.canonical import canonical
from resnet_lab.config.compose import load_config
from resnet_lab.config.groups import options
from resnet_lab.config.overrides import overrides_of
from resnet_lab.config.schema import Config

pytestmark = pytest.mark.slow

CASES = {
    "nothing": [],
    "a group": ["units=n9"],
    "an experiment": ["+experiment=cifar10_56", "bottleneck=half", "seed=3"],
    "an experiment's name on other data": ["name=cifar10_56"],
    "an experiment under another name": ["+experiment=cifar10_164", "name=mine"],
    "data under another name": ["data=cifar10", "name=mine", "optim=adam", "model.lineage.init=fan_in"],
    "made images": ["data=fake", "data.image_size=[8,9]", "data.num_images=77"],
    "lists": ["head=mlp", "model.units=[1,2,3]", "data.mean=[0.1]", "data.std=[0.5]", "optim.betas=[0.5,0.75]"],
    "empty lists": ["optim.milestones=[]", "optim.lr_factors=[]"],
    "nothing of a kind": ["augment.crop.pad=0", "trainer.max_batches=3", "optim.lr=1e-7"],
    "negative": ["shortcut=exclusive_gating_b7"],
    "special characters": ['output_dir="/tmp/a b=c,d"', 'name="x: [y] {z}"'],
    "quotes": ["""name='it is "so"'"""],
    "letters of other alphabets": ['name="café"'],
    "backslashes": [r'output_dir="C:\Users\me"'],
    "a dollar": [r'name="\${seed}"'],
    "an experiment that does not fit the data": ["name=imagenet_18"],
    "words that are no words": ['name="1e3"', 'output_dir="null"'],
    "what changes no number": ["diagnostics=full", "trainer.num_threads=1", "trainer.eval_batch_size=7"],
    "a split that follows the seed": ["data.split_seed=${seed}", "seed=4"],
}


def same(one: Config, other: Config) -> bool:
    places = [(config.name, config.output_dir) for config in (one, other)]
    return canonical(one) == canonical(other) and places[0] == places[1]


@pytest.mark.parametrize("typed", CASES.values(), ids=CASES)
def test_they_give_the_same_run_in_the_same_place(typed: list[str]):
    config = load_config(*typed)
    assert same(load_config(*overrides_of(config)), config)


@pytest.mark.parametrize("experiment", options("experiment"))
def test_an_experiment_is_named(experiment: str):
    assert sorted(overrides_of(of_name(experiment))) == sorted(of_experiment(experiment))


def test_the_default_needs_none():
    assert overrides_of(load_config()) == []
    assert overrides_of(load_config("units=n3", "data=cifar10")) == ["data=cifar10", "model.units=[3,3,3]"]


def test_a_folder_of_images(tmp_path: Path):
    root = tmp_path / "my pets, 1=2"
    for part in ("train/cat", "train/dog", "test/cat"):
        (root / part).mkdir(parents=True)
    choice = ["data=image_folder", f'data.root="{root}"', "data.image_size=16"]
    pets = load_config("+experiment=imagenet_50", *choice[:2], "data.num_classes=2")
    assert same(load_config(*overrides_of(pets)), pets)
    config = load_config(*choice, "data.skip_damaged=true")  # without which the images cannot be read
    typed = overrides_of(config)
    assert load_config(*typed).data.skip_damaged
    assert typed[:2] == ["data=image_folder", f'data.root="{root}"']
    assert same(load_config(*typed), config)
