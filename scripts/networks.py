"""Measure all experiments and write their table into docs/networks.md: `python scripts/networks.py`.

The numbers go through tests/golden/networks.json, which a test compares with the code: look at its diff.
"""

import json
import re
from pathlib import Path
from typing import Any

from resnet_lab import load_config
from resnet_lab.config.groups import options
from resnet_lab.config.published import published, recipe_differences
from resnet_lab.tasks.cost import measure

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "networks.json"
PAGE = ROOT / "docs" / "networks.md"
BEGIN, END = "<!-- networks: written by scripts/networks.py -->\n", "<!-- end of networks -->"

# Of experiments whose files say the shape: here, that of GunPoint.
SHAPES = {"ucr_resnet": ("data.channels=1", "data.image_size=150", "data.num_classes=2")}

Rows = dict[str, dict[str, Any]]


def row(name: str) -> dict[str, Any]:
    """What is measured and published of an experiment."""
    config = load_config(f"+experiment={name}", *SHAPES.get(name, ()))
    return {
        "data": config.data.name,
        "image_shape": list(config.data.image_shape),
        **measure(config).totals(),
        "published_error": published_error(name),
    }


def published_error(name: str) -> float | None:
    """The error of the paper whose network and recipe an experiment has, apart from the validation images."""
    config = load_config(f"+experiment={name}", *SHAPES.get(name, ()))
    paper = published(config)
    if paper is None or recipe_differences(load_config(f"+experiment={name}", "data.validation=0"), paper):
        return None
    return paper.error


def table(rows: Rows) -> str:
    """A Markdown row for every experiment."""
    lines = [
        "| experiment | depth | params | MACs | activations | receptive field | published error | data |",
        "|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for name, cost in sorted(rows.items(), key=lambda item: (re.sub(r"_\d+", "", item[0]), item[1]["depth"])):
        error = f"{cost['published_error']:.2f} %" if cost["published_error"] is not None else ""
        lines.append(
            f"| `{name}` | {cost['depth']} | {cost['params']:,} | {cost['macs'] / 1e6:,.1f} M | "
            f"{cost['activations'] / 1e6:,.2f} M | {cost['receptive_field']} | {error} | "
            f"{cost['data']}, {'×'.join(map(str, cost['image_shape']))} |"
        )
    return "\n".join(lines) + "\n"


def written(text: str, rows: Rows) -> str:
    """The text with the table between its marks."""
    return re.sub(f"(?s)(?<={re.escape(BEGIN)}).*(?={re.escape(END)})", lambda _: table(rows), text)


if __name__ == "__main__":
    measured = {name: row(name) for name in options("experiment")}
    GOLDEN.write_text(json.dumps(measured, indent=1) + "\n")
    PAGE.write_text(written(PAGE.read_text(), measured))
