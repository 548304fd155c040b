"""What self-contained pages share: one file each, readable offline, in the light and in the dark."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}


def fill(template: str, parts: Mapping[str, str]) -> str:
    """The template with every {{NAME}} replaced, {{STYLE}} by the common style; what is put in stays as it is."""
    known = {"STYLE": files(__package__).joinpath("page.css").read_text().strip(), **parts}
    head, *rest = template.split("{{")
    return head + "".join(known[name] + text for name, text in (part.split("}}", 1) for part in rest))


def inline(picture: Path) -> str:
    """A picture file as an address that holds all of it."""
    return f"data:{_TYPES[picture.suffix]};base64,{base64.b64encode(picture.read_bytes()).decode()}"
