"""`resnet-lab export RUN --to onnx|pt2|safetensors`: write a trained network to one file, for other programs."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from resnet_lab import command
from resnet_lab.config.checks import require, require_packages

# The formats, and the optional packages that each needs.
PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "pt2": (), "safetensors": ("safetensors",)}


def parser() -> argparse.ArgumentParser:
    """Return the parser for the command's options."""
    made = command.parser("export")
    made.add_argument("run", type=Path, metavar="RUN", help="a run directory, or a file that --to safetensors wrote")
    made.add_argument(
        "--to",
        choices=PACKAGES,
        required=True,
        help="onnx: for ONNX Runtime and others; pt2: for torch.export.load; safetensors: for resnet_lab itself",
    )
    part = (
        "of an autoencoder: encoder, from pixels to latent vectors, or decoder, from these to pixels (default: whole)"
    )
    made.add_argument("--part", choices=("whole", "encoder", "decoder"), default="whole", help=part)
    made.add_argument("--out", type=Path, metavar="FILE", help="the file to write (default: network.<format> in RUN)")
    command.add_checkpoint(made)
    return made


def main(arguments: Sequence[str]) -> int:
    """Write the file and print how it was checked. Raises ConfigError."""
    options = parser().parse_intermixed_args(arguments)
    require(
        options.part == "whole" or options.to != "safetensors",
        f"--part {options.part}: safetensors holds whole networks, of which resnet_lab uses the parts",
    )
    require_packages("export", f"--to {options.to}", *PACKAGES[options.to])

    from resnet_lab.use.export import export  # imports torch, which takes seconds

    print(export(options.run, options.to, options.out, options.checkpoint, options.part))
    return 0


if __name__ == "__main__":
    command.run_command(main)
