"""One self-contained page with every figure that was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path

from resnet_lab.page import fill, inline


@dataclass(slots=True)
class Section:
    """A part of the page: figures with captions, how long they took, and what went wrong, if anything."""

    name: str
    title: str
    figures: list[tuple[Path, str]] = field(default_factory=list)
    seconds: float = 0.0
    failure: str = ""


def page(name: str, facts: Sequence[str], sections: Sequence[Section]) -> str:
    """The text of inspect.html."""
    template = files(__package__).joinpath("template.html").read_text()
    parts = {
        "NAME": escape(name),
        "FACTS": "<br>".join(map(escape, facts)),
        "CONTENTS": "".join(f'<a href="#{section.name}">{escape(section.title)}</a>' for section in sections),
        "SECTIONS": "\n".join(map(_section, sections)),
    }
    return fill(template, parts)


def _section(section: Section) -> str:
    figures = [
        f'<figure><img alt="{escape(file.stem)}" src="{inline(file)}">\n'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for file, caption in section.figures
    ]
    failure = f'<p class="failed">failed: {escape(section.failure)}</p>' if section.failure else ""
    took = f'<p class="faint">{section.seconds:.1f} s</p>'
    return "\n".join(
        [f'<section id="{section.name}"><h2>{escape(section.title)}</h2>', failure, *figures, took, "</section>"]
    )
