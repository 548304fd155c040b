"""Whatever a setting is set to, the command plans the run, or answers with one message; it never breaks or hangs.

The short version tries a few cases; RESNET_LAB_LONG=1 tries 2,000, which takes about an hour. With
--hypothesis-show-statistics pytest counts them by type and outcome.
"""

import os
import time
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
from hydra.core.override_parser.types import Quote, QuotedString
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from support.command import Command
from support.lab import TINY

from resnet_lab.config.messages import setting_types
from resnet_lab.text import visible

pytestmark = pytest.mark.slow

CASES = 2000 if "RESNET_LAB_LONG" in os.environ else 10
SLOWEST = 20.0  # seconds of a core
FOREIGN = ("Traceback", "this is a bug", "ListConfig", "DictConfig", "NoneType", "<class", "KeyError", "object at 0x")

WHOLE = st.sampled_from([-(2**63), -1, 0, 1, 2, 3, 255, 2**31, 2**53, 2**64, 10**30, 10**400]) | st.integers()
REAL = st.sampled_from([-1.0, 0.0, 1e-300, 0.5, 1.0, 1e38, 1e39, 1e300]) | st.floats()
TEXT = st.sampled_from(["", ".", "..", "/", "~", "a/b", "null", "1e3", "${seed}", "${x}", "\x1b[31m", "x" * 5000])
TEXT |= st.text(max_size=20)
SCALAR = st.none() | st.booleans() | WHOLE | REAL | TEXT
ANY = SCALAR | st.lists(SCALAR, max_size=4) | st.dictionaries(st.sampled_from("abc"), SCALAR, max_size=2)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of the type of a setting, at its edges too."""
    if get_origin(kind) in (Union, UnionType):
        return st.none() | values(get_args(kind)[0])
    if get_origin(kind) is list:
        return st.lists(values(get_args(kind)[0]), max_size=4) | st.just([1] * 500)
    if kind is Any:
        return WHOLE | st.lists(WHOLE, max_size=4)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from([*kind.__members__])
    known = {bool: st.booleans(), int: WHOLE, float: REAL, str: TEXT}
    return known.get(kind, st.dictionaries(st.sampled_from("abc"), SCALAR, max_size=2))


def typed(value: Any) -> str:
    """A value as it is typed on the command line."""
    match value:
        case None | bool():
            return str(value).lower().replace("none", "null")
        case str():
            return QuotedString(text=value, quote=Quote.double).with_quotes()
        case list():
            return f"[{','.join(map(typed, value))}]"
        case dict():
            return f"{{{','.join(f'{key}:{typed(own)}' for key, own in value.items())}}}"
    return repr(value)


def overrides(name: str, kind: Any) -> st.SearchStrategy[str]:
    return (values(kind) | ANY).map(lambda value: f"{name}={typed(value)}") | TEXT.map(lambda text: f"{name}={text}")


MALFORMED = st.text("~+=.@/[]{}()'\"$,: \\ab1\n\x1b", max_size=12)  # whatever it means
OVERRIDES = st.one_of(MALFORMED, *(overrides(name, kind) for name, kind in setting_types().items()))


@given(override=OVERRIDES.filter(lambda text: not text.startswith("-")))
@settings(
    max_examples=CASES,
    deadline=None,  # which counts wall time
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_whatever_a_setting_is_set_to(command: Command, tmp_path: Path, override: str):
    began = time.process_time()
    ended = command(*TINY, "dry_run=true", override)
    assert time.process_time() - began < SLOWEST
    assert ended.status in (0, 1)
    assert not any(word in ended.stdout + ended.stderr for word in FOREIGN), ended.stderr
    assert visible(ended.stderr, keep="\n") == ended.stderr
    assert ended.status == 0 or (ended.stdout == "" and ended.stderr.count("\n") in (1, 2) and len(ended.stderr) < 2000)
    assert [*tmp_path.iterdir()] == []
    kind = setting_types().get(override.partition("=")[0], "no setting")
    event(f"{getattr(kind, '__name__', kind)}: {'one message' if ended.status else 'planned'}")
