"""What makes two runs the same run: their settings in canonical form, and nothing else."""

import hashlib
import json

from resnet_lab.config.canonical import canonical
from resnet_lab.config.schema import Config


def identity(config: Config) -> str:
    """A hash over the settings that change a run's numbers."""
    return hashlib.sha256(json.dumps(canonical(config), sort_keys=True).encode()).hexdigest()[:16]


def differences(there: Config, now: Config) -> list[str]:
    """What tells two runs apart, setting by setting, in words; empty where they are the same run."""
    one, other = canonical(there), canonical(now)
    return [
        f"{name} is {_text(one, name)} there, {_text(other, name)} now"
        for name in sorted(one.keys() | other.keys())
        if one.get(name, ...) != other.get(name, ...)
    ]


def _text(settings: dict[str, object], name: str) -> str:
    return str(settings[name]) if name in settings else "not used"
