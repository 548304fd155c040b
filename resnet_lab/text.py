"""Text that comes from outside, as names of classes do, stays text: printable, and neither mathematics nor markup."""

import re
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console

# Bytes of a file's name that are not UTF-8, as Python reads them; what moves the cursor; what looks like an escape.
_UNPRINTABLE = re.compile(r"[\udc80-\udcff\x00-\x1f\x7f]|\\(?=x)")


def printable(name: str) -> str:
    r"""The name of a file with escapes (`caf\xe9`) for what cannot be printed; different names stay different."""
    return _UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", name)


def plural(count: int, noun: str) -> str:
    """`1 epoch`, `2 epochs`, `2 batches`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}{'es' if noun.endswith('ch') else 's'}"


def literal_text() -> AbstractContextManager[None]:
    """A context to make, draw and save figures in, where a dollar is a dollar."""
    import matplotlib  # takes long, and who reads names draws nothing

    return matplotlib.rc_context({"text.parse_math": False})


def plain_console(width: int | None = None, **options: Any) -> Console:
    """A console to which no text is markup or emoji; `width` characters wide where it is not a terminal."""
    console = Console(markup=False, emoji=False, **options)
    if width and not console.is_terminal:
        console.width = width
    return console
