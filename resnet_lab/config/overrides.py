"""Convert a configuration to the overrides that produce it."""

import re
from dataclasses import fields
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from resnet_lab.config.canonical import all_settings
from resnet_lab.config.checks import ConfigError
from resnet_lab.config.compose import is_option, load_config
from resnet_lab.config.data import DataConfig
from resnet_lab.config.fields import settings_of
from resnet_lab.config.schema import Config

NOT_WORDS = ("null", "true", "false", "nan", "inf")  # Hydra's grammar gives them another meaning

_DEFAULT_ROOT = next(item.default for item in fields(DataConfig) if item.name == "root")

# Written separately, or derived from other settings.
_IMPLIED = {"plugins", "model.in_channels", "model.num_classes"}

# Not part of what identifies a run, but needed to find its weights and its directory, and to read its images.
ALSO = {"name", "output_dir", "pretrained.run", "pretrained.checkpoint", "data.skip_damaged", "data.max_pixels"}


def overrides_of(config: Config) -> list[str]:
    """Return command-line overrides from which `load_config` gives the same run in the same place.

    The experiment of that name, if any, and the data set come first, then each setting that differs. Raises ConfigError
    if the configuration needs a plugin or an image folder that does not exist.
    """
    typed, base = _beginning(config)
    ours, theirs = all_settings(config), all_settings(base)
    wanted = {item.name for item in settings_of(config) if item.identity} | ALSO
    differing = [name for name in ours if name in wanted - _IMPLIED and ours[name] != theirs[name]]
    return [*typed, *(f"{name}={_value(ours[name])}" for name in differing)]


def _beginning(config: Config) -> tuple[list[str], Config]:
    """Return overrides that choose experiment and data set, as far as these are options, and their configuration."""
    plugins = [f"plugins=[{','.join(config.plugins)}]"] if config.plugins else []
    is_elsewhere = config.data.own_images and config.data.root != _DEFAULT_ROOT
    root = [f"data.root={_value(config.data.root)}"] if is_elsewhere else []
    if config.data.reads_series:  # whose files need not be there
        shape = ("series.name", "channels", "image_size", "num_classes")
        known = all_settings(config)
        root += [f"data.{name}={_value(known[f'data.{name}'])}" for name in shape if known[f"data.{name}"] is not None]
    experiment = [f"+experiment={config.name}"] if is_option("experiment", config.name) else []
    data = [f"data={config.data.name}"] if is_option("data", config.data.name) else []
    for choice in (experiment, [*experiment, *data], data):
        typed = [*plugins, *choice, *root]
        try:
            base = load_config(*typed)
        except ConfigError:  # an experiment for larger images, for example
            continue
        if base.data.name == config.data.name:
            return typed, base
    return [*plugins, *root], load_config(*plugins, *root)


def _value(value: Any) -> str:
    """Format a value in Hydra's grammar; quote text unless it is a word or a path without special characters."""
    if isinstance(value, list):
        return f"[{','.join(map(_value, value))}]"
    if isinstance(value, str):
        if re.fullmatch(r"[A-Za-z_/][\w/.-]*", value, re.ASCII) and value.lower() not in NOT_WORDS:
            return value
        return QuotedString(text=value.replace("${", r"\${"), quote=Quote.double).with_quotes()
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
