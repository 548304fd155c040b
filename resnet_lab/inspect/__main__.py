"""`resnet-lab inspect RUN_DIR [WHAT…]`: inspect a trained network; write figures and one page."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from resnet_lab import command
from resnet_lab.config.tasks import FIGURES


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    made = command.parser("inspect")
    made.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="a run directory")
    what = f"some of {', '.join(FIGURES)} (default: all parts for the run's task)"
    made.add_argument("what", nargs="*", default=[], metavar="WHAT", help=what)
    made.add_argument("--images", nargs="+", default=[], metavar="IMAGE", help="indices of validation images, or files")
    class_name = "show patterns of the maps that this class or attribute activates most"
    made.add_argument("--class", dest="class_name", metavar="CLASS", help=class_name)
    made.add_argument("--layers", nargs="+", default=[], metavar="LAYER", help="stem, stacks.0.units.1, innermost, …")
    made.add_argument("--maps", nargs="+", default=[], type=int, metavar="MAP", help="indices of maps in these layers")
    pairs = "pairs of latent components to draw with ellipses, as in 0,3 1,2 (default: the most correlated)"
    made.add_argument("--pairs", nargs="+", default=[], type=pair, metavar="I,J", help=pairs)
    made.add_argument("--compare", nargs="+", default=[], type=Path, metavar="DIR", help="runs to compare it with")
    command.add_checkpoint(made)
    made.add_argument("--seed", type=int, default=0, help="seed of the noise that patterns start from")
    made.add_argument("--out", type=Path, metavar="DIR", help="output directory (default: RUN_DIR)")
    return made


def pair(text: str) -> tuple[int, int]:
    """Parse the numbers of two different components. Raises ArgumentTypeError."""
    found = re.fullmatch(r"(\d{1,8}),(\d{1,8})", text)
    if not found or int(found[1]) == int(found[2]):
        raise argparse.ArgumentTypeError(f"{text:.40} does not name two components, as 0,3 does")
    return int(found[1]), int(found[2])


def main(arguments: Sequence[str]) -> int:
    """Write figures/ and inspect.html; return exit status 1 if a part failed. Raises the same errors as `look`."""
    options = parser().parse_intermixed_args(arguments)

    from resnet_lab.inspect.look import look

    return int(any(section.failure for section in look(options)))


if __name__ == "__main__":
    command.run_command(main)
