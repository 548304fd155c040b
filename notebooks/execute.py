"""Run the tour and write its outputs into it: `python notebooks/execute.py`."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

TOUR = Path(__file__).parent / "tour.ipynb"
SECONDS = 300  # for a cell


def executed(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """The notebook with fresh outputs, run in a folder. Raises CellExecutionError when a cell fails."""
    return NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(folder)}}).execute()


if __name__ == "__main__":
    tour = executed(nbformat.read(TOUR, as_version=4), TOUR.parent)
    for cell in tour.cells:
        cell.metadata.pop("execution", None)  # times, which are others at every run
    tour.metadata.language_info = {"name": "python"}
    nbformat.write(tour, TOUR)
