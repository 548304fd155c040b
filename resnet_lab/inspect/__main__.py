"""`resnet-lab inspect RUN_DIR [WHAT…]`: look inside a trained network; figures and one page."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from resnet_lab import command
from resnet_lab.config.tasks import FIGURES


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    made = command.parser("inspect")
    made.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="a run directory")
    what = f"some of {', '.join(FIGURES)} (default: all that there are for the run's task)"
    made.add_argument("what", nargs="*", default=[], metavar="WHAT", help=what)
    made.add_argument("--images", nargs="+", default=[], metavar="IMAGE", help="numbers of validation images, or files")
    made.add_argument(
        "--class", dest="class_name", metavar="CLASS", help="patterns of the maps that this class excites"
    )
    made.add_argument("--layers", nargs="+", default=[], metavar="LAYER", help="stem, stacks.0.units.1, innermost, …")
    made.add_argument("--maps", nargs="+", default=[], type=int, metavar="MAP", help="numbers of maps in these layers")
    made.add_argument("--beside", nargs="+", default=[], type=Path, metavar="DIR", help="runs to draw beside this one")
    made.add_argument("--checkpoint", choices=["last", "best"], default="last")
    made.add_argument("--seed", type=int, default=0, help="of the noise that patterns begin with")
    made.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: RUN_DIR)")
    return made


def main(arguments: Sequence[str]) -> int:
    """Write figures/ and inspect.html; the exit status is 1 when a part could not be made. Raises as `look` does."""
    options = parser().parse_intermixed_args(arguments)

    from resnet_lab.inspect.look import look

    return int(any(section.failure for section in look(options)))


if __name__ == "__main__":
    command.run_command(main)
