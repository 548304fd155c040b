"""Canonical form of configurations, in which runs are compared: it does not depend on the spelling."""

from enum import Enum
from typing import Any

from resnet_lab.config.fields import Setting, section_settings, settings_of
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.schema import Config

Settings = dict[str, Any]  # dotted name -> plain value


def canonical(config: Config) -> Settings:
    """Return the settings in use that affect the results of a run, with per-stack lists expanded."""
    return {item.name: _value(item) for item in settings_of(config) if item.identity and _is_used(item)}


def all_settings(config: Config) -> Settings:
    """Return all settings in canonical form, including unused ones and ones that do not affect the results."""
    return {item.name: _value(item) for item in settings_of(config)}


def architecture(model: ModelConfig) -> Settings:
    """Return the canonical settings in use of a model, without the prefix `model.`."""
    return {item.name: _value(item) for item in section_settings(model) if _is_used(item)}


def without_effect(model: ModelConfig) -> list[str]:
    """Return the axes that were chosen although the model's other settings leave nothing for them to do.

    `lineage` and `resize` are not among them: they are said once for all shortcuts and units, as experiments do.
    """
    usual = {item.name: item.value for item in section_settings(ModelConfig(in_channels=1, num_classes=1))}
    unread = [item for item in section_settings(model) if item.identity and not _is_used(item)]
    chosen = [item.name for item in unread if item.value != usual[item.name]]
    return [name for name in chosen if name != "resize" and not name.startswith("lineage.")]


def _is_used(item: Setting) -> bool:
    return bool(getattr(item.section, "active", True) and (item.used is None or item.used(item.section)))


def _value(item: Setting) -> Any:
    return plain(item.canonical(item.section) if item.canonical else item.value)


def plain(value: Any) -> Any:
    """Convert enums to their names, also in lists, for JSON and YAML."""
    if isinstance(value, Enum):
        return value.name
    return [plain(entry) for entry in value] if isinstance(value, list) else value
