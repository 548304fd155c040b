"""Print external text, such as class names, literally (no control characters, math or markup), and not too long."""

import argparse
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text

# Bytes of file names that are not UTF-8, as Python decodes them, and other surrogates; control characters; line
# separators; marks that reverse the direction of the text.
_UNPRINTABLE = re.compile(r"[\ud800-\udfff\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_LIKE_ESCAPES = re.compile(r"\\(?=x|u[0-9a-f]{4})")

# Texts speak of images; for networks of series, these words take the place of others.
_OF_SERIES = {
    "images": "series", "Images": "Series", "image": "series", "pixels": "moments", "pixel": "moment",
    "one colour scale": "one vertical scale", "the mean colour": "0",
    "mean colour": "0", "a square": "a window", "spatial frequency": "frequency",
}  # fmt: skip

LONGEST_WORD, LONGEST_LINE = 200, 1000  # characters
_LONG = re.compile(rf"\[[^\[\]]{{{LONGEST_WORD},}}\]|\S{{{LONGEST_WORD + 1},}}")  # a list in brackets, or a word


def visible(text: str, keep: str = "") -> str:
    r"""Return text with unprintable characters escaped (`caf\xe9`), except those in `keep`. Idempotent."""
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code & 0xFF:02x}" if code < 0x80 or 0xDC80 <= code < 0xDD00 else f"\\u{code:04x}"


def printable(name: str) -> str:
    r"""Return a file name with unprintable parts escaped (`caf\xe9`); different names stay different."""
    return visible(_LIKE_ESCAPES.sub(r"\\x5c", name))


def shell_quoted(words: Sequence[str]) -> str:
    r"""Return a command for a shell, in one line: words with unprintable characters are written as `$'a\x1b'`.

    Raises UnicodeEncodeError if no command line can hold a word.
    """
    return " ".join(shlex.quote(word) if visible(word) == word else _ansi_quoted(word) for word in words)


def _ansi_quoted(word: str) -> str:
    special = {ord("'"), ord("\\")}
    encoded = word.encode(errors="surrogateescape")  # as Python decodes the arguments of commands
    shown = (chr(byte) if 0x20 <= byte < 0x7F and byte not in special else f"\\x{byte:02x}" for byte in encoded)
    return f"$'{''.join(shown)}'"


def brief(message: str) -> str:
    """Return an error message as it is printed: without unprintable characters, and with long words and lines cut."""
    return "\n".join(
        _cut(_LONG.sub(lambda found: _cut(found[0], LONGEST_WORD), visible(line)), LONGEST_LINE)
        for line in message.split("\n")
    )


def _cut(text: str, most: int) -> str:
    """Leave out the middle of a long text: its end often says most, as that of a path or of a message does."""
    return text if len(text) <= most else f"{text[: most * 3 // 4]}…{text[-most // 4 :]}"


class Parser(argparse.ArgumentParser):
    """A parser of options whose error messages pass through `brief`, since they repeat arguments."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and exit with status 2."""
        super().error(brief(message))


def plural(count: int, one: str, many: str = "") -> str:
    """Return `1 epoch`, `2 epochs`; `many` is for words that do not just add an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def short_number(value: float | None) -> str:
    """Format a cost with three digits and k, M or G."""
    if value is None:
        return ""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}" if abs(value) < 999.5 * size else f"{value / size:.0f} {unit}"
    return f"{value:.3g}"


def first_few(names: Sequence[str]) -> str:
    """Return the first five names, with an ellipsis if there are more."""
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")


def literal_text() -> AbstractContextManager[None]:
    """Return a context to create, draw and save figures in, so that they show a dollar sign as it is."""
    import matplotlib  # slow to import, and not needed to print names

    return matplotlib.rc_context({"text.parse_math": False})


def plain_console(width: int | None = None, **options: Any) -> Console:
    """Return a console without markup and emoji, `width` characters wide if it is not a terminal."""
    console = _LiteralConsole(markup=False, emoji=False, **options)
    if width and not console.is_terminal:
        console.width = width
    return console


def shares(amounts: Mapping[str, float]) -> str:
    """Return "steps 92 %, start-up 5 %": each amount's share of their sum, if at least 1 %, the largest first."""
    total = sum(amounts.values()) or 1.0
    large = sorted(((amount / total, name) for name, amount in amounts.items() if amount >= total / 100), reverse=True)
    return ", ".join(f"{name.replace('_', '-')} {100 * share:.0f} %" for share, name in large)


class _LiteralConsole(Console):
    """Shows unprintable characters, also those in the cells of tables, instead of sending them to the terminal."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text, keep="\n"), **options)


def worded(text: str, dims: int) -> str:
    """Return a text in the words for what the network is given: series (`dims` 1) or images (2)."""
    if dims == 1:
        for of_images, of_series in _OF_SERIES.items():
            text = text.replace(of_images, of_series)
    return text
