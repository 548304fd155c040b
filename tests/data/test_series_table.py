"""Mistakes in own files of series: each gets one message that names the file and says what is wrong."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.composing import config as load_config

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.sources import Source, read

X = np.arange(1.0, 13).reshape(4, 3)
CSV = "class,a,b,c\nup,1,2,3\ndown,4,5,6\nup,7,8,9\ndown,10,11,12\n"


def npz(**arrays: Any) -> bytes:
    """The content of a file of four series, with other arrays in place of some, or added."""
    file = io.BytesIO()
    np.savez(file, **{"x": X, "class": ["up", "down"] * 2, **arrays})
    return file.getvalue()


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, X)
    return file.getvalue()


def with_value(value: float) -> bytes:
    x = X.copy()
    x[1, 2] = value
    return npz(x=x)


def load(folder: Path, content: bytes | str, *changes: str) -> Source:
    name = "mine.csv" if isinstance(content, str) else "mine.npz"
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    own = ("data=series_table", f"data.root={folder}", f"data.table.file={name}", "data.series.scale=given")
    return read(load_config(*own, *changes).data)


NO_ZIP = r"^cannot read .*mine\.npz: File is not a zip file; write it with np\.savez, from arrays"
OBJECTS = np.array([1, None, "a", 2], object)
MISTAKES = {
    "no zip": (b"hello", NO_ZIP),
    "nothing": (b"", NO_ZIP),
    "an npy": (npy(), NO_ZIP),
    "half a file": (npz()[:500], NO_ZIP),
    "other bytes": (npz().replace(X.tobytes()[:9], b"?" * 9), r"^cannot read array x of .*mine\.npz: Bad CRC-32"),
    "objects": (npz(x=OBJECTS), r"^cannot read array x of .*mine\.npz: Object arrays .*of numbers and text$"),
    "objects as classes": (npz(**{"class": OBJECTS}), r"^cannot read array class of .*mine\.npz: Object arrays"),
    "an empty class": (CSV.replace("\nup,7", "\n,7"), r"data\.table\.file=mine\.csv: line or series 4 has no class$"),
    "words": (npz(x=X.astype(str)), r"mine\.npz: x must be real numbers, got str_$"),
    "complex": (npz(x=X + 1j), r"mine\.npz: x must be real numbers, got complex128$"),
    "few parts": (npz(part=["train", "test"]), r"mine\.npz: part must be \(4,\), as long as x, got \(2,\)$"),
    "one part": (npz(part="train"), r"mine\.npz: part must be \(4,\), as long as x, got \(\)$"),
    "large": (
        with_value(1e300),
        r"mine\.npz: series 2: 1e\+300 is too large: \|x\| must be below 3\.4e38, to fit float32",
    ),
    "infinite": (with_value(-np.inf), r"mine\.npz: series 2: -inf is too large: .*; a missing value is NaN$"),
    "an empty table": ("", r"mine\.csv is empty: it must have a line with the names of columns, and one for each"),
    "blank lines": ("\n  \n", r"mine\.csv is empty"),
    "no series": ("class,a,b\n\n", r"mine\.csv has no series$"),
    "no values": ("part,class\ntrain,a\n", r"mine\.csv has no columns of values, .*; its columns: part, class$"),
    "a large value": (CSV.replace("5", "4e38"), r"mine\.csv: line 3: 4e38 is too large"),
    "an infinite value": (CSV.replace("5", "inf"), r"mine\.csv: line 3: inf is too large: .*; a missing value is NaN$"),
    "a short line": (CSV + "\n\nup,1\n", r"mine\.csv: line 8 has 2 fields, the header has 4$"),
    "empty fields": (CSV + ",\n", r"mine\.csv: line 6 has 2 fields"),
    "one class": (CSV.replace("down", "up"), r"got 1 in .*mine\.csv: is data\.table\.label=class the column of the cl"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(tmp_path: Path, mistake: str) -> None:
    content, message = MISTAKES[mistake]
    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [CSV + "\n", "\n" + CSV, CSV.replace("\n", "\n \n\n"), CSV.replace(",", "\t")])
def test_blank_lines_are_skipped(tmp_path: Path, content: str) -> None:
    source = load(tmp_path, content)
    np.testing.assert_array_equal(source.train.pixels[:, 0], X)
    assert source.train.labels.tolist() == [1, 0, 1, 0]


def test_nan_is_missing_and_other_arrays_are_not_read(tmp_path: Path) -> None:
    largest = float(np.finfo(np.float32).max)
    x = [[1, np.nan, 3], [4, 5, largest], [7, 8, -largest], [1, 0, 1]]
    source = load(tmp_path, npz(x=np.array(x), notes=OBJECTS))
    np.testing.assert_array_equal(source.train.pixels[:, 0], np.nan_to_num(np.float32(x), nan=2, posinf=9, neginf=9))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32])
def test_any_real_numbers_are_values(tmp_path: Path, dtype: type) -> None:
    source = load(tmp_path, npz(x=X.astype(dtype)))
    np.testing.assert_array_equal(source.train.pixels[:, 0], X.astype(dtype))


def test_a_column_of_parts_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^data\.table\.part=fold: mine\.csv has no such column$"):
        load(tmp_path, CSV, "data.table.part=fold")
