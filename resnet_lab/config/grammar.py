"""Refuse arguments that are not overrides, before Hydra composes anything."""

import os
import re
from collections.abc import Sequence

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.groups import GROUPS, listing
from resnet_lab.config.hydra_private import can_be_parsed
from resnet_lab.config.messages import known_elsewhere, no_such_setting, setting_types
from resnet_lab.text import visible

HOW = "overrides are written setting=value, as in seed=1"
LONGEST_NAME = 200  # characters; options are file names
_ADDED = ("experiment", "sweep")  # groups that the default configuration does not have
_NAME = re.compile(r"[\w$-]+([./][\w$-]+)*", re.ASCII)


def refuse_malformed(overrides: Sequence[str]) -> None:
    """Raise ConfigError for the first argument that Hydra could not parse, or that would remove a setting."""
    types = setting_types()
    for override in overrides:
        typed = visible(override)
        plus = "+" * (len(override) - len(override.lstrip("+")))
        name, equals, value = override.removeprefix(plus).partition("=")
        require(not typed.startswith("~"), f"{typed}: a setting cannot be removed, only set to another value")
        if not equals:
            runs = "; a folder of runs is for resnet-lab runs, report and inspect" if os.path.isdir(override) else ""
            raise ConfigError(f"{typed or 'an empty argument'}: {HOW}{runs}")
        is_name = len(plus) <= 2 and len(name) <= LONGEST_NAME and _NAME.fullmatch(name)
        require(bool(is_name), f"{typed}: {name!r} is not the name of a setting; {HOW}")
        require("\0" not in value, f"{name} must not contain a NUL character, got {value!r}")
        if name in GROUPS and max(map(len, value.split(","))) > LONGEST_NAME:
            raise ConfigError(f"there is no {typed}; {name} can be: {listing(name)}")
        is_there = name in types or name in GROUPS
        require(plus != "+" or not is_there or name in _ADDED, f"{typed}: write it without the plus: {name} exists")
        if not is_there and known_elsewhere(name):
            raise ConfigError(no_such_setting(name, value))
        if any(mark in value for mark in "[]{}()'\"") and not can_be_parsed(override):
            raise ConfigError(
                f"{typed}: a bracket or quote is in the wrong place; lists are written [1,2], and text with special "
                f"""characters in quotes within quotes, as in '{name}="a (b)"'"""
            )
