"""Text from outside: names that cannot be printed, and words that look like mathematics or markup."""

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from resnet_lab.text import literal_text, plain_console, printable

NAMES = st.binary(min_size=1, max_size=6) | st.text("\\xe9é\n", max_size=8).map(os.fsencode)


@pytest.mark.parametrize("name", ["cat", "Katze größer", "日本", "👩‍🔬", "$1_to_$5", "a\\b", "[x]", "<b>&"])
def test_ordinary_names_stay(name: str):
    assert printable(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"caf\xe9", r"caf\xe9"),
        (b"a\tb\x1b[2J", r"a\x09b\x1b[2J"),
        (rb"caf\xe9", r"caf\x5cxe9"),
        (b"\xc3\xa9\xc3", r"é\xc3"),
    ],
)
def test_what_cannot_be_printed_is_escaped(name: bytes, shown: str):
    assert printable(os.fsdecode(name)) == shown


@given(one=NAMES, other=NAMES)
def test_every_name_can_be_printed_and_different_ones_stay_different(one: bytes, other: bytes):
    shown = [printable(os.fsdecode(name)) for name in (one, other)]
    assert all("\n" not in text.encode().decode() for text in shown)
    assert (shown[0] == shown[1]) == (one == other)


def drawn(text: str) -> bytes:
    figure = Figure()
    figure.text(0.1, 0.5, text)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return bytes(canvas.buffer_rgba())


def test_a_dollar_is_a_dollar():
    with pytest.raises(ValueError, match="to_"):
        drawn("$1_to_$5")
    with literal_text():
        drawn("$1_to_$5")
        literal = drawn("$x$")
    assert literal != drawn("$x$")


def test_a_bracket_is_a_bracket():
    written = io.StringIO()
    plain_console(200, file=written).print("[red]x[/red] :apple: [/x]")
    assert written.getvalue() == "[red]x[/red] :apple: [/x]\n"
