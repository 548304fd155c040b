"""The one form that all spellings of a configuration share: who compares runs, compares this."""

from enum import Enum
from typing import Any

from resnet_lab.config.fields import Setting, section_settings, settings_of
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.schema import Config

Settings = dict[str, Any]  # plain values by dotted name


def canonical(config: Config) -> Settings:
    """The settings that change a number of the run, lists with an entry per stack; what nothing reads is left out."""
    kept = [item for item in settings_of(config) if item.metadata["identity"] and _is_used(item)]
    return {item.name: _value(item) for item in kept}


def everything(config: Config) -> Settings:
    """All settings in the same form, also those that nothing reads and that change no number."""
    return {item.name: _value(item) for item in settings_of(config)}


def architecture(model: ModelConfig) -> Settings:
    """What a network computes: the same form of the model alone, without `model.` before each name."""
    return {item.name: _value(item) for item in section_settings(model) if _is_used(item)}


def _is_used(item: Setting) -> bool:
    used = item.metadata["used"]
    return bool(getattr(item.section, "active", True) and (used is None or used(item.section)))


def _value(item: Setting) -> Any:
    canonical = item.metadata["canonical"]
    return plain(canonical(item.section) if canonical else item.value)


def plain(value: Any) -> Any:
    """A value as JSON and YAML have it: enums by name."""
    if isinstance(value, Enum):
        return value.name
    return [plain(entry) for entry in value] if isinstance(value, list) else value
