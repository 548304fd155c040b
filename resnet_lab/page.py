"""What self-contained pages share: one file each, readable offline, in the light and in the dark."""

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}


def render(template: str, **values: Any) -> bytes:
    """The page of a template below this package, in UTF-8; text among the values is text, whatever it looks like."""
    return _PAGES.get_template(template).render(values).encode(errors="backslashreplace")


def inline(picture: Path) -> str:
    """A picture file as an address that holds all of it."""
    return f"data:{_TYPES[picture.suffix]};base64,{base64.b64encode(picture.read_bytes()).decode()}"


_PAGES = Environment(
    loader=PackageLoader(__package__, ""),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_PAGES.filters["inline"] = inline
_PAGES.policies["json.dumps_kwargs"] = {"allow_nan": False}  # and keys in the order in which they are given
