"""Print external text, such as class names, literally: no control characters, math or markup."""

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console

# Non-UTF-8 bytes in file names, as Python decodes them; control characters; a backslash that looks like an escape.
_UNPRINTABLE = re.compile(r"[\udc80-\udcff\x00-\x1f\x7f]|\\(?=x)")


def printable(name: str) -> str:
    r"""Return a file name with unprintable parts escaped (`caf\xe9`); different names stay different."""
    return _UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", name)


def plural(count: int, one: str, many: str = "") -> str:
    """Return `1 epoch`, `2 epochs`; `many` is for words that do not just add an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def first_few(names: Sequence[str]) -> str:
    """Return the first five names, with an ellipsis if there are more."""
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")


def literal_text() -> AbstractContextManager[None]:
    """Return a context in which figures show a dollar sign as it is; create, draw and save them in it."""
    import matplotlib  # slow to import, and not needed to print names

    return matplotlib.rc_context({"text.parse_math": False})


def plain_console(width: int | None = None, **options: Any) -> Console:
    """Return a console without markup and emoji, `width` characters wide if it is not a terminal."""
    console = Console(markup=False, emoji=False, **options)
    if width and not console.is_terminal:
        console.width = width
    return console


def shares(amounts: Mapping[str, float]) -> str:
    """Return "steps 92 %, start-up 5 %": each amount's share of their sum, if at least 1 %, the largest first."""
    total = sum(amounts.values())
    large = sorted(((amount / total, name) for name, amount in amounts.items() if amount >= total / 100), reverse=True)
    return ", ".join(f"{name.replace('_', '-')} {100 * share:.0f} %" for share, name in large)
