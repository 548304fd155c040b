"""`resnet-lab report DIR… [--by AXIS…] [--by-test] [--out DIR]`: compare the runs under one or more directories."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from resnet_lab import command


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    made = command.parser("report")
    where = "directories to search for runs; must precede --by"
    made.add_argument("directories", nargs="+", type=Path, metavar="DIR", help=where)
    by = "group by these model fields only, as in --by shortcut units or --by shortcut,units"
    made.add_argument("--by", nargs="+", default=[], metavar="AXIS", help=by)
    by_test = "compare by the test score, as papers do, even where there is a validation score"
    made.add_argument("--by-test", action="store_true", help=by_test)
    made.add_argument("--out", type=Path, metavar="DIR", help="output directory (default: DIR/report)")
    return made


def main(arguments: Sequence[str]) -> int:
    """Print and write the comparison. Raises ConfigError when there is nothing to compare."""
    options = parser().parse_args(arguments)

    from resnet_lab.report.write import report
    from resnet_lab.text import printable

    out: Path = options.out or options.directories[0] / "report"
    written = report(options.directories, options.by, out, options.by_test)
    print(f"written to {printable(str(out))}: {', '.join(written)}")
    return 0


if __name__ == "__main__":
    command.run_command(main)
