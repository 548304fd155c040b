"""The tour runs from its first cell to its last, and what is committed can be read without running it."""

import importlib.util
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbformat import NotebookNode

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[1] / "notebooks"
TOUR = FOLDER / "tour.ipynb"


@pytest.fixture(scope="module")
def execute() -> ModuleType:
    spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kinds(notebook: NotebookNode) -> list[list[str]]:
    """What every code cell shows: its pictures, and the names of its streams, of which some kernels send more parts."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown: list[list[str]] = []
    for cell in cells:
        pictures = [key for out in cell.outputs for key in out.get("data", {}) if key.startswith("image/")]
        shown.append(sorted({out.name for out in cell.outputs if "name" in out}) + pictures)
    return shown


def test_it_runs_and_shows_what_is_committed(tmp_path: Path, execute: ModuleType):
    committed = nbformat.read(TOUR, as_version=4)
    fresh = execute.executed(nbformat.read(TOUR, as_version=4), tmp_path)
    assert kinds(fresh) == kinds(committed)
    assert sum("image/png" in shown for shown in kinds(fresh)) == 8
    assert not any("stderr" in shown for shown in kinds(committed))
    assert list(tmp_path.iterdir()) == []  # it leaves nothing behind where it is run


def test_it_can_be_read_on_a_page():
    assert TOUR.stat().st_size < 1_000_000
    assert "/tmp/" not in TOUR.read_text()
