"""Identity of runs: two runs are the same if their canonical settings are equal."""

import hashlib
import json

from resnet_lab.config.canonical import canonical
from resnet_lab.config.schema import Config


def identity(config: Config) -> str:
    """Return a hash of the settings that affect the results of a run."""
    return hashlib.sha256(json.dumps(canonical(config), sort_keys=True).encode()).hexdigest()[:16]


def differences(there: Config, now: Config) -> list[str]:
    """Describe each setting in which two configurations differ; empty if they are the same run."""
    one, other = canonical(there), canonical(now)
    return [
        f"{name} is {one.get(name, 'not used')} there, {other.get(name, 'not used')} now"
        for name in sorted(one.keys() | other.keys())
        if one.get(name, ...) != other.get(name, ...)
    ]
