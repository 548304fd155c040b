"""Identity of runs: two runs are the same if their canonical settings are equal."""

import hashlib
import json
from dataclasses import replace

from resnet_lab.config.canonical import Settings, canonical
from resnet_lab.config.schema import Config


def identity(config: Config) -> str:
    """Return a hash of the settings that affect the results of a run."""
    return hashlib.sha256(json.dumps(canonical(config), sort_keys=True).encode()).hexdigest()[:16]


def without_fingerprint(config: Config) -> Config:
    """Return a configuration whose own images count by their folder, as before version 0.2."""
    return replace(config, data=replace(config.data, fingerprint=None))


def differences(there: Config, now: Config) -> list[str]:
    """Describe each setting in which two configurations differ; empty if they are the same run.

    Own images count by their folder if one of the two has no fingerprint; otherwise they are compared by
    `RunDirectory.refuse_changed_images`.
    """
    if None in (there.data.fingerprint, now.data.fingerprint):
        there, now = without_fingerprint(there), without_fingerprint(now)
    one, other = ({**canonical(config), "data.fingerprint": ...} for config in (there, now))
    return [
        f"{name} is {one.get(name, 'not used')} there, {other.get(name, 'not used')} now"
        for name in sorted(unequal(one, other))
    ]


def unequal(one: Settings, other: Settings) -> set[str]:
    """Return the names of the settings that have another value in the other, or are used in one alone."""
    return {name for name in one.keys() | other.keys() if one.get(name, ...) != other.get(name, ...)}
