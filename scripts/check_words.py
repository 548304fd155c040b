"""Look for words that CONTRIBUTING.md asks to avoid: `python scripts/check_words.py`; exit status 1 if any is found."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "CONTRIBUTING.md"
CHECKED = ("*.py", "*.md", "*.yaml", "*.html", "*.js", "*.css", "*.toml", "Makefile")
NOT_CHECKED = ("CONTRIBUTING.md", "CHANGELOG.md", "tests/golden", "docs/results")  # the list itself, and history


def avoided() -> dict[str, str]:
    """The words of the table, and what to write instead."""
    [table] = re.findall(r"<!-- words:.*?-->\n(.*?)<!-- end of words -->", GUIDE.read_text(), re.DOTALL)
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {word: instead for words, instead in rows for word in words.split(", ")}


def main() -> int:
    """Print every line with such a word."""
    words = avoided()
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, words))})\b", re.IGNORECASE)
    listed = subprocess.run(["git", "ls-files", *CHECKED], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = 0
    for name in listed.splitlines():
        if name.startswith(NOT_CHECKED) or not (ROOT / name).exists():
            continue
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
            for match in pattern.finditer(line):
                found += 1
                print(f"{name}:{number}: {match[0]!r}: write {words[match[0].lower()]}")
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())
