"""Numbers and tables in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any


def verdict_table(checks: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of checks: what was measured, the number, its limit, and whether it keeps the limit."""
    rows = [
        [
            check["what"],
            f"{check['value']:.3g}" if check["value"] is not None else "",
            f"{'≥' if check['at_least'] else '≤'} {check['limit']:g}",
            said(check["passed"]),
        ]
        for check in checks
    ]
    return table(["check", "measured", "limit", "passed"], rows)


def said(holds: bool) -> str:
    """Format a verdict as yes or no."""
    return "yes" if holds else "**no**"


def spread(values: Mapping[str, float], spec: str) -> str:
    """Format as median (smallest–largest)."""
    median, low, high = (format(values[name], spec) for name in ("median", "low", "high"))
    return f"{median} ({low}–{high})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; all columns but the first are numbers."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
