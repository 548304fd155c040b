"""Read files as if a stranger had written them: regular files only, of bounded size, with values of the right form."""

import json
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 2**26  # of a file that is read as text
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the fast one, if PyYAML was built with it
MAX_LEVELS = 20  # of YAML
# Numbers must be smaller than these.
FLOAT_LIMIT = 1e39  # above the largest float32; sums of squares of smaller numbers stay finite
INT_LIMIT = 2**63  # larger integers can be too large for a float, or take minutes to compute with
# Every JSON number above a limit matches: 19 digits before the point, or an exponent of two digits.
_LARGE = re.compile(r"(?<![\d.])\d{19}|[eE]\+?\d{2}")


class Unreadable(Exception):
    """A stored file is missing or damaged. The message names the file and says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Maybe:
    """The form of a value that may be null."""

    form: Any


# A form describes a value. It is a type or a tuple of types; {key: form}, where EACH stands for every key; or [form], a
# list whose entries all have this form.
EACH = object()
NUMBER = (int, float)


def check_form(content: Any, form: Any, file_name: str) -> None:
    """Raise Unreadable if the content of a file does not have its form. Missing keys that may be null are set to None.

    The message names the file and the dotted key, as in `result.json: last lacks test_error`.
    """
    try:
        _check(content, form)
    except _WrongForm as wrong:
        where = f"{file_name}: {'.'.join(map(str, wrong.keys))}" if wrong.keys else file_name
        raise Unreadable(f"{where} {wrong.what}") from None


class _WrongForm(Exception):
    """What is wrong with a value, and the keys that lead to it."""

    def __init__(self, what: str) -> None:
        self.what, self.keys = what, list[Any]()


def _check(value: Any, form: Any) -> None:
    if isinstance(form, dict):
        _check_type(value, (dict,))
        for key, inner in form.items():
            if key is EACH:
                _check_each(value.items(), inner)
                continue
            if isinstance(inner, Maybe):
                value.setdefault(key, None)
            if key not in value:
                raise _WrongForm(f"lacks {key}")
            _check_each([(key, value[key])], inner)
    elif isinstance(form, list):
        _check_type(value, (list, tuple))  # a checkpoint can hold tuples
        _check_each(enumerate(value), form[0])
    else:
        _check_type(value, form if isinstance(form, tuple) else (form,))


def _check_each(entries: Iterable[tuple[Any, Any]], form: Any) -> None:
    may_be_null = isinstance(form, Maybe)
    form = form.form if may_be_null else form
    for key, entry in entries:
        if entry is None and may_be_null:
            continue
        try:
            _check(entry, form)
        except _WrongForm as wrong:
            wrong.keys.insert(0, key)
            raise


def _check_type(value: Any, types: tuple[type, ...]) -> None:
    is_stray_bool = isinstance(value, bool) and bool not in types  # Python counts True and False as integers
    if is_stray_bool or not isinstance(value, types):
        shown = type(value).__name__ if isinstance(value, dict | list) else repr(value)
        raise _WrongForm(f"has the wrong type: {shown:.60}")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object with finite numbers. Raises Unreadable."""
    return parse_json(read_text(path), path.name)


def parse_json(text: str, file_name: str) -> dict[str, Any]:
    """Parse a JSON object with finite numbers. Raises Unreadable, naming the file that it is from."""
    # Python's own functions for numbers are much slower than those of the C parser.
    numbers: dict[str, Any] = {"parse_int": _parse_int, "parse_float": _parse_float} if _LARGE.search(text) else {}
    try:
        content = json.loads(text, parse_constant=_refuse_constant, **numbers)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{file_name} cannot be read: {' '.join(str(error).split()):.200}") from error
    if not isinstance(content, dict):
        raise Unreadable(f"{file_name} does not hold a JSON object")
    return content


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping. Raises Unreadable, also for aliases: a few of them can stand for billions of values."""
    text = read_text(path)
    try:
        _refuse_deep(path, text)
        content = yaml.load(text, Loader=LOADER)
    except (ValueError, RecursionError, yaml.YAMLError) as error:  # ValueError: an impossible date
        raise Unreadable(f"{path.name} is damaged: it is not YAML") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise Unreadable(f"{path.name} is damaged: it holds no settings")
    return content


def _refuse_deep(path: Path, text: str) -> None:
    """Raise Unreadable for aliases, and for deep nesting, which would crash libyaml."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_LEVELS:
            raise Unreadable(f"{path.name} is damaged: it has too many levels")
        if isinstance(event, yaml.AliasEvent):
            raise Unreadable(f"{path.name} is damaged: it has aliases")


def read_text(path: Path) -> str:
    """Read a regular file as UTF-8. Raises Unreadable."""
    refuse_irregular(path)
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path.name} cannot be read: {_reason(error)}") from error


def refuse_irregular(path: Path, largest: float = MAX_BYTES) -> None:
    """Raise Unreadable unless `path` is a regular file of at most `largest` bytes: reading a pipe may never end."""
    try:
        about = path.stat()
    except FileNotFoundError as error:
        raise Unreadable(f"{path.name} is missing") from error
    except OSError as error:
        raise Unreadable(f"{path.name} cannot be read: {_reason(error)}") from error
    if not stat.S_ISREG(about.st_mode):
        raise Unreadable(f"{path.name} is not a regular file")
    if about.st_size > largest:
        raise Unreadable(f"{path.name} is too large: {about.st_size:,} bytes")


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or str(error)


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")  # Python accepts NaN and Infinity


def _parse_int(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) >= INT_LIMIT:
        raise ValueError(f"{digits:.20}… is too large")
    return int(digits)


def _parse_float(text: str) -> float:
    value = float(text)
    if abs(value) >= FLOAT_LIMIT:
        raise ValueError(f"{text:.20} is too large")
    return value
