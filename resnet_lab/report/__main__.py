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
    by = (
        "group by these settings only, as in --by shortcut units or --by optim.lr,units; all: every one that varies; "
        "name: by the names of runs"
    )
    made.add_argument("--by", nargs="+", default=[], metavar="AXIS", help=by)
    baseline = "compare with this group instead of the best: its label, or a part of it that no other has"
    made.add_argument("--baseline", metavar="GROUP", help=baseline)
    made.add_argument("--pairs", action="store_true", help="compare all pairs as well")
    margin = "say which groups are worse by no more than this, in the unit of the score (with --log: a ratio)"
    made.add_argument("--margin", type=float, metavar="SIZE", help=margin)
    target = "say when the validation score of each group's runs reached this, in the unit of the score"
    made.add_argument("--target", type=float, metavar="SCORE", help=target)
    made.add_argument("--log", action="store_true", help="compare logarithms of scores, for errors near 0 or 100 %%")
    by_test = "compare by the test score, as papers do, even where there is a validation score"
    made.add_argument("--by-test", action="store_true", help=by_test)
    made.add_argument("--out", type=Path, metavar="DIR", help="output directory (default: DIR/report)")
    return made


def main(arguments: Sequence[str]) -> int:
    """Print and write the comparison. Raises ConfigError when there is nothing to compare."""
    options = parser().parse_args(arguments)

    from resnet_lab.report.question import Question
    from resnet_lab.report.write import report
    from resnet_lab.text import printable

    out: Path = options.out or options.directories[0] / "report"
    by = [axis for words in options.by for axis in words.split(",") if axis]
    question = Question(
        by=by,
        by_test=options.by_test,
        baseline=options.baseline,
        pairs=options.pairs,
        log=options.log,
        target=options.target,
        margin=options.margin,
    )
    written = report(options.directories, question, out)
    print(f"written to {printable(str(out))}: {', '.join(written)}")
    return 0


if __name__ == "__main__":
    command.run_command(main)
