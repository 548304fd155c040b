"""What a setting says about itself beside its type: who reads it, its one spelling, whether it changes a number."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, field, fields, is_dataclass
from typing import Any, NamedTuple


def setting(
    default: Any = MISSING,
    *,
    factory: Any = MISSING,
    used: Callable[[Any], bool] | None = None,
    canonical: Callable[[Any], Any] | None = None,
    identity: bool = True,
) -> Any:
    """A dataclass field. `used` and `canonical` are given the section (`model`, `data`, `optim`, …) that it belongs to.

    `used` says whether anything reads the setting there (default: always), `canonical` gives the value that all
    spellings share, and `identity=False` marks a setting that changes no number of a run.
    """
    metadata = {"used": used, "canonical": canonical, "identity": identity}
    if factory is not MISSING:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


class Setting(NamedTuple):
    """A setting by its dotted name, as `settings_of` finds it."""

    name: str
    value: Any
    section: Any  # what `used` and `canonical` are given
    metadata: Mapping[str, Any]


def settings_of(config: Any) -> Iterator[Setting]:
    """Every setting of a `Config` by its dotted name, in the order of declaration; sections are its parts."""
    for item in fields(config):
        value = getattr(config, item.name)
        if is_dataclass(value):
            yield from section_settings(value, f"{item.name}.")
        elif isinstance(value, dict):  # of augmentations
            for key, entry in value.items():
                yield from section_settings(entry, f"{item.name}.{key}.")
        else:
            yield Setting(item.name, value, config, item.metadata or _PLAIN)


def section_settings(section: Any, prefix: str = "", node: Any = None) -> Iterator[Setting]:
    """The settings of a section, or of a `node` inside it."""
    node = section if node is None else node
    for item in fields(node):
        value, name = getattr(node, item.name), prefix + item.name
        if is_dataclass(value):
            yield from section_settings(section, f"{name}.", value)
        else:
            yield Setting(name, value, section, item.metadata or _PLAIN)


_PLAIN = {"used": None, "canonical": None, "identity": True}
