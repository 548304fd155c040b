"""`resnet-lab evaluate RUN… [OVERRIDES]`: test trained networks, on their own test part or on other images."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from resnet_lab import command

LARGEST = 16384  # pixels of a side
CORRUPTIONS = ("gaussian", "mask", "blur", "contrast", "jpeg")  # of use.corrupt, which imports numpy


def parser() -> argparse.ArgumentParser:
    """Return the parser for the command's options."""
    made = command.parser("evaluate")
    words = "run directories; data=…, data.root=… or other settings of data select images other than their test part"
    made.add_argument("words", nargs="+", metavar="RUN|OVERRIDE", help=words)
    corrupt = f"also test copies that are corrupted at five strengths: some of {','.join(CORRUPTIONS)} (default: all)"
    made.add_argument("--corrupt", nargs="?", const=",".join(CORRUPTIONS), default="", metavar="KINDS", help=corrupt)
    flip = "average the probabilities of each image and its mirror image"
    made.add_argument("--flip", action="store_true", help=flip)
    size = "test at another image size, which networks with global pooling allow"
    made.add_argument("--size", type=int, metavar="PIXELS", help=size)
    side = "with --size: the shorter side before the centre is cut out (default: as much longer as in training)"
    made.add_argument("--resize-to", type=int, metavar="PIXELS", help=side)
    command.add_checkpoint(made)
    made.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to FILE, which ends in .json")
    page = "write an HTML page with all numbers and figures to FILE, which ends in .html"
    made.add_argument("--page", type=Path, metavar="FILE", help=page)
    return made


def main(arguments: Sequence[str]) -> int:
    """Evaluate and compare. Raises ConfigError for a wrong run, override or image, OSError for a file."""
    made = parser()
    options = made.parse_intermixed_args(arguments)
    # A run of version 0.1 has an equals sign in its path.
    options.overrides = [word for word in options.words if "=" in word and not Path(word).exists()]
    options.runs = [Path(word) for word in options.words if word not in options.overrides]
    if not options.runs:
        made.error("name at least one run directory")
    if options.size is not None and not 0 < options.size <= LARGEST:
        made.error(f"--size must be a number of pixels from 1 to {LARGEST}, got {options.size}")
    if options.resize_to is not None and (options.size is None or options.resize_to < options.size):
        made.error(f"--resize-to {options.resize_to} needs a --size of at most as many pixels")
    options.corrupt = list(filter(None, options.corrupt.split(",")))
    if unknown := [kind for kind in options.corrupt if kind not in CORRUPTIONS]:
        made.error(f"--corrupt: unknown kind {unknown[0]}; choose from {', '.join(CORRUPTIONS)}")
    # A mistyped FILE must not replace a file of another kind.
    for name, suffix in (("json", ".json"), ("page", ".html")):
        place = getattr(options, name)
        if place and place.suffix != suffix:
            made.error(f"--{name}: FILE must end in {suffix}, got {place}")

    from resnet_lab.use.evaluate import evaluate

    evaluate(options)
    return 0


if __name__ == "__main__":
    command.run_command(main)
