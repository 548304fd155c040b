"""Test errors that papers report for the configured network, from `conf/published.yaml`."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from resnet_lab.config.canonical import Settings, architecture, canonical
from resnet_lab.config.enums import Labels
from resnet_lab.config.groups import CONFIG_DIR
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.config.stored import section

CIFAR_SHAPE = (3, 32, 32)  # all rows are CIFAR results
RECIPE = ("optim.", "augment.", "trainer.max_", "data.validation", "data.num_train", "data.sampler", "pretrained.")


@dataclass(frozen=True, slots=True)
class Published:
    """A test error in percent and its source, the recipe that led to it, and what the number is."""

    error: float
    source: str
    recipe: str  # an option of the group `recipe`
    protocol: str  # such as "median of 5 runs"


def published(config: Config) -> Published | None:
    """Return the published result for this architecture and data set, for any recipe, or None."""
    if config.data.image_shape != CIFAR_SHAPE or TASKS.info(config.task).labels is not Labels.classes:
        return None
    wanted = architecture(config.model)
    for row, model in _rows(config.model.in_channels, config.model.num_classes):
        if row["data"] == config.data.name and model == wanted:
            return Published(row["published_error"], row["source"], row["recipe"], row["protocol"])
    return None


def recipe_differences(config: Config, result: Published) -> list[str]:
    """Return how a run's recipe differs from the published one, as in `trainer.max_epochs 50 instead of 164`."""
    own, theirs = _recipe_of(config), _published_recipe(result.recipe, config.data.name)
    names = [name for name in {**theirs, **own} if own.get(name) != theirs.get(name)]
    return [f"{name} {own.get(name, 'unused')} instead of {theirs.get(name, 'unused')}" for name in names]


@cache
def _rows(in_channels: int, num_classes: int) -> list[tuple[dict[str, Any], Settings]]:
    """Return all rows, with the architecture of each."""
    shape = {"in_channels": in_channels, "num_classes": num_classes}
    rows = yaml.safe_load((CONFIG_DIR / "published.yaml").read_text())["published"]
    return [(row, architecture(section(ModelConfig, shape | row["model"], "model."))) for row in rows]


@cache
def _published_recipe(name: str, data: str) -> Settings:
    from resnet_lab.config.compose import load_config  # imports Hydra, which a report on other networks does without

    return _recipe_of(load_config(f"data={data}", f"recipe={name}", "data.validation=0"))


def _recipe_of(config: Config) -> Settings:
    return {name: value for name, value in canonical(config).items() if name.startswith(RECIPE)}
