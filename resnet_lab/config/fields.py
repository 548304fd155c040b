"""Metadata of settings: when a setting is used, its canonical value, and whether it affects the results."""

from collections.abc import Callable, Iterator
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
    """Return a dataclass field. `used` and `canonical` take its section (`model`, `data`, `optim`, …) as argument.

    `used` tells whether anything reads the setting (default: always), `canonical` returns the value that all spellings
    share, and `identity=False` marks a setting that does not affect the results of a run. A dataclass of settings whose
    field has `used`, such as `optim.schedule`, is a section of its own.
    """
    metadata = {"used": used, "canonical": canonical, "identity": identity}
    return field(default=default, default_factory=factory, metadata=metadata)


class Setting(NamedTuple):
    """A setting and its dotted name, as `settings_of` yields them."""

    name: str
    value: Any
    section: Any  # argument of `used` and `canonical`
    used: Callable[[Any], bool] | None = None
    canonical: Callable[[Any], Any] | None = None
    identity: bool = True


def settings_of(node: Any, prefix: str = "", section: Any = None) -> Iterator[Setting]:
    """Yield every setting of a `Config` with its dotted name, in declaration order, or of a `node` in a `section`."""
    for item in fields(node):
        value, name = getattr(node, item.name), prefix + item.name
        if is_dataclass(value) and (used := item.metadata.get("used")):
            for own in settings_of(value, f"{name}.", value):
                yield own if used(section or node) else own._replace(used=_never)
        elif is_dataclass(value):
            yield from settings_of(value, f"{name}.", section or value)
        elif section is None and isinstance(value, dict):  # augmentations by name
            for key, entry in value.items():
                yield from settings_of(entry, f"{name}.{key}.", entry)
        else:
            yield Setting(name, value, section or node, **item.metadata)


def _never(section: Any) -> bool:
    return False


def section_settings(section: Any) -> Iterator[Setting]:
    """Yield the settings of a section, such as `config.model`, without a prefix."""
    return settings_of(section, section=section)
