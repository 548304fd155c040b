"""Text from outside: names that cannot be printed, and words that look like mathematics or markup."""

import io
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.table import Table

from resnet_lab.text import Parser, brief, literal_text, plain_console, printable, shell_quoted, visible

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
        ("\x9b31m\u202e".encode(), r"\u009b31m\u202e"),
    ],
)
def test_what_cannot_be_printed_is_escaped(name: bytes, shown: str):
    assert printable(os.fsdecode(name)) == shown


@given(one=NAMES, other=NAMES)
def test_every_name_can_be_printed_and_different_ones_stay_different(one: bytes, other: bytes):
    shown = [printable(os.fsdecode(name)) for name in (one, other)]
    assert all("\n" not in text.encode().decode() for text in shown)
    assert (shown[0] == shown[1]) == (one == other)


@given(st.text(st.characters(), max_size=8))
def test_what_is_visible_stays_visible(text: str):
    shown = visible(text)
    shown.encode()  # no surrogates
    assert visible(shown) == shown


@pytest.mark.parametrize(
    "words", [["seed=1", "name='a b'"], [os.fsdecode(b"a'b\x1b[31m\nrm -r x\r\xe9\\"), "é\x7f"], ["$(x)\t", "`x`\n"]]
)
def test_a_command_can_be_pasted(words: list[str]):
    line = shell_quoted(words)
    assert visible(line) == line
    printed = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True).stdout
    assert printed.split(b"\0")[:-1] == [*map(os.fsencode, words)]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("seed must be 0\n  or 1", "seed must be 0\n  or 1"),
        ("got \x1b[31m", r"got \x1b[31m"),
        ("got " + 5000 * "x", f"got {150 * 'x'}…{50 * 'x'}"),
        (f"got {[1] * 3000}, not 3", f"got {str([1] * 3000)[:150]}…{str([1] * 3000)[-50:]}, not 3"),
        (3000 * "x ", 375 * "x " + "…" + 125 * "x "),
    ],
)
def test_a_message_is_brief(message: str, shown: str):
    assert brief(message) == shown


def test_so_is_the_message_of_a_parser(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        Parser(prog="x").parse_args([f"--{5000 * 'y'}\x1b"])
    assert len(said := capsys.readouterr().err) < 400
    assert r"y\x1b" in said


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


def test_a_terminal_gets_no_escapes():
    written = io.StringIO()
    table = Table("a\x1b[31m", title="b\x9b")
    table.add_row("c\x07\x08\n")
    plain_console(200, file=written).print(table, "d\x1b]0;e\x07")
    assert visible(written.getvalue(), keep="\n") == written.getvalue()
    assert all(shown in written.getvalue() for shown in (r"a\x1b[31m", r"b\u009b", r"c\x07\x08", r"d\x1b]0;e\x07"))
