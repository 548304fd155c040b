"""Where a run lives: the same directory for the same command, today and tomorrow."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from resnet_lab.config import Config
from resnet_lab.training.record import NOT_IDENTITY

MAX_SLUG = 100  # bytes; file systems allow 255 bytes for a name

# Overrides that a directory's name leaves out: those that do not change the numbers, and those named elsewhere in it.
# A root is named: where it is not of files that are known, it says which images they are.
UNNAMED = {*NOT_IDENTITY, "seed", "experiment", "sweep"} - {"data.root"}


def run_path(config: Config, overrides: Sequence[str]) -> Path:
    """`output_dir/name/<overrides>/seed-<n>`."""
    return Path(config.output_dir).expanduser() / config.name / slug(overrides) / f"seed-{config.seed}"


def slug(overrides: Sequence[str]) -> str:
    """The overrides as a folder name, in an order of its own; with a hash in place of what is too long to read."""
    plain = [_canonical(override) for override in overrides]
    kept = {"experiment"} if any(override.startswith("name=") for override in plain) else set()  # else it is the name
    named = sorted(o for o in plain if (key := o.split("=")[0]) in kept or not (key in UNNAMED or _is_of_hydra(key)))
    text = ",".join(named)
    readable = re.sub(r"[^\w.,=+-]+", "-", text.replace("[", "").replace("]", "").replace('"', "").replace("'", ""))
    if len(readable.encode()) > MAX_SLUG:
        readable = readable.encode()[:MAX_SLUG].decode(errors="ignore")
        readable += f"-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return readable.strip("-.") or "default"


def _is_of_hydra(key: str) -> bool:
    return re.split("[./]", key)[0] == "hydra"


def _canonical(override: str) -> str:
    """One text for one value, as a sweep writes it: `optim.lr=1e-2` alone and `optim.lr=0.01,0.1` share a run."""
    try:
        parsed = OverridesParser.create().parse_override(override)
        return f"{parsed.key_or_group}={parsed.get_value_element_as_str()}"
    except (HydraException, ValueError):
        return override.lstrip("+~")  # nothing that Hydra would have composed
