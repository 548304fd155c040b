"""User modules that add units, shortcuts, data sets, tasks and augmentations to the registries."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from resnet_lab.config.checks import ConfigError


def load_plugins(names: Any) -> None:
    """Import modules by name, also from the current folder. Raises ConfigError if an import fails."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"plugins must be a list of modules, as in plugins=[my_lab], got {names}")
    for name in names:
        if name in sys.modules:
            continue
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        try:
            import_module(name)
        except Exception as error:
            raise ConfigError(f"plugins: cannot import {name}: {type(error).__name__}: {error}") from error


def asked_for(overrides: Sequence[str]) -> list[str]:
    """Return the modules of the last override `plugins=[my_lab]` or `plugins=my_lab`."""
    values = [override.partition("=")[2] for override in overrides if override.lstrip("+").startswith("plugins=")]
    return [name.strip() for value in values[-1:] for name in value.strip("[]").split(",") if name.strip()]
