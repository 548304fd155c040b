"""Write the table of networks into README.md, measured on the networks themselves: `python docs/networks.py`."""

from __future__ import annotations

import re
from pathlib import Path

from resnet_lab import load_config
from resnet_lab.compose import options
from resnet_lab.model.summary import measure

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- networks: written by docs/networks.py -->\n", "<!-- end of networks -->"


def table() -> str:
    """A Markdown row for every experiment."""
    lines = ["| experiment | depth | params | MACs an image | data |", "|---|--:|--:|--:|---|"]
    for name in options("experiment"):
        config = load_config(f"+experiment={name}")
        cost = measure(config)
        size = "×".join(map(str, config.data.image_shape))
        lines.append(
            f"| `{name}` | {cost.depth} | {cost.params:,} | {cost.macs / 1e6:,.1f} M | {config.data.name.name}, {size} |"
        )
    return "\n".join(lines) + "\n"


def written(text: str) -> str:
    """The text with the table between its marks."""
    return re.sub(f"(?s)(?<={re.escape(BEGIN)}).*(?={re.escape(END)})", lambda _: table(), text)


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
