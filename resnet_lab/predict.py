"""`resnet-lab predict RUN FILES|FOLDERS…`: apply a trained network to images."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from resnet_lab import command


def parser() -> argparse.ArgumentParser:
    """Return the parser for the command's options."""
    made = command.parser("predict")
    made.add_argument("run_dir", type=Path, metavar="RUN", help="a run directory")
    made.add_argument("inputs", nargs="*", default=[], type=Path, metavar="FILE|FOLDER", help="images, or series")
    made.add_argument("--top", type=int, default=1, metavar="N", help="show the N most probable classes (default: 1)")
    for kind in ("csv", "json"):
        what = f"write {kind.upper()} to FILE, which ends in .{kind}, or to stdout"
        made.add_argument(f"--{kind}", nargs="?", const="-", metavar="FILE", help=what)
    made.add_argument("--sort-into", type=Path, metavar="DIR", help="link each image into DIR/<class>/")
    made.add_argument(
        "--save-into", type=Path, metavar="DIR", help="save what an autoencoder makes of each image in DIR"
    )
    made.add_argument("--copy", action="store_true", help="with --sort-into: copy instead of linking")
    command.add_checkpoint(made)
    made.add_argument("--batch-size", type=int, default=64, metavar="N", help="images in memory (default: 64)")
    calibrate = "fit a temperature on the run's validation part, so that probabilities match frequencies, and store it"
    made.add_argument("--calibrate", action="store_true", help=calibrate)
    where = "folder for calibration.json (default: RUN)"
    made.add_argument("--out", type=Path, metavar="DIR", help=where)
    return made


def main(arguments: Sequence[str]) -> int:
    """Apply the network to images; return exit status 1 if one could not be read. Raises ConfigError and OSError."""
    made = parser()
    options = made.parse_intermixed_args(arguments)
    if not options.inputs and not options.calibrate:
        made.error("name files or folders of images")
    if options.copy and not options.sort_into:
        made.error("--copy needs --sort-into")
    for name in ("top", "batch_size"):
        if getattr(options, name) < 1:
            made.error(f"--{name.replace('_', '-')} must be at least 1")
    for kind in ("csv", "json"):  # `--csv a.png` must not overwrite an image
        place = getattr(options, kind)
        if place not in (None, "-") and not place.endswith(f".{kind}"):
            made.error(f"--{kind}: FILE must end in .{kind}, got {place}; to write to stdout, use --{kind}=-")
    if options.csv == options.json == "-":
        made.error("--csv and --json cannot both go to stdout")

    from resnet_lab.use.predict import predict

    return predict(options)


if __name__ == "__main__":
    command.run_command(main)
