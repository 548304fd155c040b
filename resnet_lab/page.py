"""Pages from templates: self-contained HTML, readable offline, in light and dark mode, and Markdown."""

import base64
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from resnet_lab.text import visible

_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}


def render(template: str, **values: Any) -> bytes:
    """Render a template of this package as UTF-8. Values are escaped in HTML; for Markdown, there is a filter."""
    return _PAGES.get_template(template).render(values).encode(errors="backslashreplace")


def inline(image: Path) -> str:
    """Return an image file as a data URL."""
    return f"data:{_TYPES[image.suffix]};base64,{base64.b64encode(image.read_bytes()).decode()}"


def markdown(text: str) -> str:
    """Escape the characters that are special in Markdown."""
    return re.sub(r"[\\`*_\[\]<>|&$~]", r"\\\g<0>", text)


def _visible(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


_PAGES = Environment(
    loader=PackageLoader(__package__, ""),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    finalize=_visible,  # of every value that a template shows
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_PAGES.filters |= {"inline": inline, "markdown": markdown}
_PAGES.policies["json.dumps_kwargs"] = {"allow_nan": False}  # replaces Jinja's sort_keys=True
