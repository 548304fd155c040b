"""The overrides that a configuration can be typed with."""

import json
import re
from typing import Any

from resnet_lab.config.canonical import everything
from resnet_lab.config.compose import is_option, load_config
from resnet_lab.config.fields import settings_of
from resnet_lab.config.schema import Config

NOT_WORDS = ("null", "true", "false", "nan", "inf")  # in Hydra's grammar

# Follow from other settings.
_IMPLIED = {"plugins", "model.in_channels", "model.num_classes"}


def overrides_of(config: Config) -> list[str]:
    """Overrides, as on the command line, with which `load_config` gives the same run in the same place.

    First come the experiment of the run's name, where there is one, and the data set; then each setting that differs.
    Raises ConfigError when the configuration needs a plugin or a folder of images that is not there.
    """
    typed = [f"plugins=[{','.join(config.plugins)}]"] if config.plugins else []
    typed += [f"+experiment={config.name}"] if is_option("experiment", config.name) else []
    base = load_config(*typed)
    if base.data.name != config.data.name and is_option("data", config.data.name):
        typed += [f"data={config.data.name}"]
        typed += [f"data.root={_value(config.data.root)}"] if config.data.own_images else []
        typed += [f"task={config.task}"] if config.task != base.task else []
        base = load_config(*typed)
    ours, theirs = everything(config), everything(base)
    wanted = {item.name for item in settings_of(config) if item.metadata["identity"]} | {"name", "output_dir"}
    differing = [name for name in ours if name in wanted - _IMPLIED and ours[name] != theirs[name]]
    return [*typed, *(f"{name}={_value(ours[name])}" for name in differing)]


def _value(value: Any) -> str:
    """A value in Hydra's grammar: text in quotes, unless it is a word or a path without special characters."""
    if isinstance(value, list):
        return f"[{','.join(map(_value, value))}]"
    if isinstance(value, str):
        is_word = re.fullmatch(r"[A-Za-z_/][\w/.-]*", value) and value.lower() not in NOT_WORDS
        return value if is_word else json.dumps(value, ensure_ascii=False)
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
