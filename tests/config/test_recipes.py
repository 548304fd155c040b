"""Recipes: bundles of groups, independent of the architecture and of the order on the command line."""

from itertools import permutations
from pathlib import Path

import pytest
import yaml
from support.composing import config as load_config
from support.composing import experiment

from resnet_lab.config.canonical import canonical
from resnet_lab.config.groups import CONFIG_DIR, options
from resnet_lab.config.published import published, recipe_differences

OF_RECIPES = {"optim", "trainer", "augment"}


def defaults(file: Path) -> set[str]:
    """The groups that a file chooses."""
    entries = yaml.safe_load(file.read_text()).get("defaults", [])
    return {name.removeprefix("override /") for entry in entries for name in entry}


def test_recipes_choose_groups_and_experiments_choose_recipes():
    """So no value of one can be mixed with a value of the other."""
    for file in (CONFIG_DIR / "recipe").glob("*.yaml"):
        assert yaml.safe_load(file.read_text()).keys() == {"defaults"}
        assert defaults(file) <= OF_RECIPES
    for file in (CONFIG_DIR / "experiment").glob("*.yaml"):
        assert not (defaults(file) | yaml.safe_load(file.read_text()).keys()) & OF_RECIPES, file


@pytest.mark.parametrize("recipe", options("recipe"))
def test_the_order_on_the_command_line_makes_no_difference(recipe: str):
    words = ["+experiment=cifar10_v1_110", f"recipe={recipe}", "optim.lr=0.3"]
    first, *others = (canonical(load_config(*order)) for order in permutations(words))
    assert all(other == first for other in others)
    alone = canonical(load_config("data=cifar10", f"recipe={recipe}"))
    assert {name: first[name] for name in first if name.startswith(("augment.", "trainer."))} == {
        name: alone[name] for name in alone if name.startswith(("augment.", "trainer."))
    }
    assert first["optim.lr"] == 0.3


def test_a_group_on_the_command_line_replaces_that_of_the_recipe():
    config = load_config("+experiment=cifar10_164", "optim=adamw")
    assert (config.optim.name.name, config.trainer.max_epochs) == ("adamw", 164)


def test_a_published_result_is_compared_with_runs_of_its_recipe_only():
    like = load_config("+experiment=cifar10_v1_110", "data.validation=0")
    paper = published(like)
    assert paper is not None
    assert (paper.error, paper.recipe, recipe_differences(like, paper)) == (6.61, "paper_warmup", [])
    other = load_config("+experiment=cifar10_v1_110", "recipe=paper")
    unlike = ["optim.warmup_iterations 0 instead of 400", "data.validation 0.1 instead of 0.0"]
    unused = ["optim.warmup unused instead of constant", "optim.warmup_lr unused instead of 0.01"]
    assert {*recipe_differences(other, paper)} == {*unlike, *unused}


def test_experiments_of_papers_have_the_recipe_of_their_row():
    for name in (name for name in options("experiment") if "cifar" in name):
        config = experiment(name)
        config.data.validation = 0
        if paper := published(config):
            assert recipe_differences(config, paper) == [], name
