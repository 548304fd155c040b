"""Test errors that papers report for the configured network, from `conf/published.yaml`."""

from dataclasses import dataclass

import yaml

from resnet_lab.config.canonical import architecture
from resnet_lab.config.groups import CONFIG_DIR
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.registry import TASKS
from resnet_lab.config.schema import Config
from resnet_lab.config.stored import section

CIFAR_SHAPE = (3, 32, 32)  # all rows are CIFAR results


@dataclass(frozen=True, slots=True)
class Published:
    """A test error in percent and its source."""

    error: float
    source: str


def published(config: Config) -> Published | None:
    """Return the published result for this architecture and data set, for any recipe, or None."""
    if config.data.image_shape != CIFAR_SHAPE or TASKS.info(config.task).score != "error":
        return None
    wanted = architecture(config.model)
    shape = {"in_channels": config.model.in_channels, "num_classes": config.model.num_classes}
    for row in yaml.safe_load((CONFIG_DIR / "published.yaml").read_text())["published"]:
        if row["data"] == config.data.name:
            model = section(ModelConfig, shape | row["model"], "model.")
            if architecture(model) == wanted:
                return Published(row["published_error"], row["source"])
    return None
