"""Read files as if a stranger had written them: regular files only, of bounded size, with values of the right form."""

import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

LARGEST = 2**26  # bytes of a file that is read as text
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the fast one, if PyYAML was built with it
LARGEST_FLOAT = 1e39  # beyond float32; sums of squares stay finite
DEEPEST = 20  # levels of YAML
MOST = 2**63  # whole numbers are smaller; larger ones cannot become floats, or take minutes to compute with


class Unreadable(Exception):
    """A stored file is missing or damaged. The message names the file and says how."""


@dataclass(frozen=True, slots=True)
class Maybe:
    """The form of a value that may be null."""

    form: Any


# A form describes a value: a type or several; {name: form}, where EACH stands for all names; [form] for a list.
EACH = object()
NUMBER = (int, float)


def check_form(value: Any, form: Any, name: str) -> None:
    """Raise Unreadable, with the dotted `name`, if a value does not have its form. A missing null is added."""
    if isinstance(form, Maybe):
        if value is not None:
            check_form(value, form.form, name)
    elif isinstance(form, dict):
        _check_type(value, dict, name)
        for key, inner in form.items():
            if key is EACH:
                for own in value:
                    check_form(value[own], inner, f"{name}.{own}")
                continue
            if isinstance(inner, Maybe):
                value.setdefault(key, None)
            if key not in value:
                raise Unreadable(f"{name} lacks {key}")
            check_form(value[key], inner, f"{name}.{key}")
    elif isinstance(form, list):
        _check_type(value, list, name)
        for index, entry in enumerate(value):
            check_form(entry, form[0], f"{name}.{index}")
    else:
        _check_type(value, form, name)


def _check_type(value: Any, kinds: Any, name: str) -> None:
    is_bool = isinstance(value, bool)  # which Python counts as a whole number
    if not isinstance(value, kinds) or (is_bool and bool not in (kinds if isinstance(kinds, tuple) else (kinds,))):
        raise Unreadable(f"{name} is {type(value).__name__ if isinstance(value, dict | list) else repr(value):.60}")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object with finite numbers. Raises Unreadable."""
    try:
        content = json.loads(read_text(path), parse_constant=_refuse, parse_int=_whole, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{path.name} cannot be read: {' '.join(str(error).split()):.200}") from error
    if not isinstance(content, dict):
        raise Unreadable(f"{path.name} holds no JSON object")
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
    """Raise Unreadable for aliases and deep nesting, at which libyaml ends the process."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST or isinstance(event, yaml.AliasEvent):
            raise Unreadable(f"{path.name} is damaged: it has {'aliases' if depth <= DEEPEST else 'too many levels'}")


def read_text(path: Path) -> str:
    """Read a regular file of UTF-8. Raises Unreadable."""
    refuse_irregular(path)
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path.name} cannot be read: {_reason(error)}") from error


def refuse_irregular(path: Path, largest: float = LARGEST) -> None:
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


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")  # Python accepts NaN and Infinity


def _whole(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) >= MOST:
        raise ValueError(f"{digits:.20}… is too large")
    return int(digits)


def _finite(text: str) -> float:
    value = float(text)
    if not abs(value) < LARGEST_FLOAT:
        raise ValueError(f"{text:.20} is too large")
    return value
