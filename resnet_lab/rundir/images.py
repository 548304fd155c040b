"""What a run knows of its images: classes, numbers, and digests by which a change is noticed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Self

from resnet_lab.text import plural

Digests = Mapping[str, tuple[int, str]]  # class → number of images, digest of their names and contents

MOST_NAMED = 5  # changes in a message


@dataclass(frozen=True, slots=True)
class DataFacts:
    """The images of each part by class; a data set whose images are not files has one entry for all classes, ""."""

    classes: tuple[str, ...]
    parts: Mapping[str, Digests]

    @property
    def fingerprint(self) -> str:
        """The same for the same classes, names and contents, in whatever folder, at whatever time."""
        return hashlib.sha256(json.dumps([self.classes, self.parts], sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        return {"classes": list(self.classes), "by_class": self.parts}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote. Raises KeyError, TypeError or ValueError if it is something else."""
        parts = {
            part: {name: (int(count), str(digest)) for name, (count, digest) in digests.items()}
            for part, digests in stored["by_class"].items()
        }
        return cls(tuple(stored["classes"]), parts)

    def changes(self, now: Self) -> str:
        """Describe what has changed since these facts were recorded, the first few changes; empty if nothing."""
        found = [
            f"{'/'.join(filter(None, (part, name)))}: {change}"
            for part in sorted({*self.parts, *now.parts})
            for name in sorted({*self.parts.get(part, {}), *now.parts.get(part, {})})
            if (change := _change(self.parts.get(part, {}).get(name), now.parts.get(part, {}).get(name)))
        ]
        if not found:
            pairs = enumerate(zip_longest(self.classes, now.classes, fillvalue="none"))
            found = [f"label {label}: {one} before, {other} now" for label, (one, other) in pairs if one != other]
        more = [f"and {len(found) - MOST_NAMED} more"] if len(found) > MOST_NAMED else []
        return "; ".join([*found[:MOST_NAMED], *more])


def _change(before: tuple[int, str] | None, now: tuple[int, str] | None) -> str:
    if before == now:
        return ""
    count, counted = (before or (0, ""))[0], (now or (0, ""))[0]
    if before is None or now is None:
        return f"{plural(counted, 'image')}, new" if now else f"{plural(count, 'image')}, gone"
    if counted == count:
        return f"still {plural(count, 'image')}, but not the same"
    return plural(abs(counted - count), *(f"{'more' if counted > count else 'fewer'} {n}" for n in ("image", "images")))
