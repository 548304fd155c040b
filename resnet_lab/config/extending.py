"""Tables of names and what they stand for, and your own modules that add to them."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, Generic, TypeVar

from resnet_lab.config.checks import ConfigError

Info = TypeVar("Info")


class Registry(Generic[Info]):
    """A table from names to classes. Messages name `setting`, the setting that selects an entry."""

    def __init__(self, setting: str, module: str, entries: dict[str, tuple[Any, Info]]) -> None:
        self.setting, self.module = setting, module
        # name → (target, description). A target is a class, "module:class", or the name of a class in `module`.
        self._entries = entries

    def add(self, name: str, info: Info, target: Any) -> None:
        """Add an entry. Raises ConfigError if the name is taken."""
        if name in self:
            raise ConfigError(f"{self.setting}: {name} already exists")
        self._entries[name] = target, info

    def register(self, name: str, info: Info) -> Callable[[Any], Any]:

        def add(target: Any) -> Any:
            self.add(name, info, target)
            return target

        return add

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def info(self, name: str) -> Info:
        """Return the description of an entry. Raises ConfigError if no entry has this name."""
        if name not in self:
            raise ConfigError(f"{self.setting} can be {', '.join(self)}; got {name}")
        return self._entries[name][1]

    def load(self, name: str) -> Any:
        target, _ = self._entries[name]
        if isinstance(target, str):
            target = imported(target if ":" in target else f"{self.module}:{target}")
        return target


def imported(target: str) -> Any:
    """Import a module and return its attribute, for a target such as `module:name`."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


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


def requested_plugins(overrides: Sequence[str]) -> list[str]:
    """Return the module names in the last override of the form `plugins=[my_lab]` or `plugins=my_lab`."""
    values = [override.partition("=")[2] for override in overrides if override.lstrip("+").startswith("plugins=")]
    return [name.strip() for value in values[-1:] for name in value.strip("[]").split(",") if name.strip()]
