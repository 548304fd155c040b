"""`resnet-lab find_lr OVERRIDES… [--out FILE]`: find a learning rate, by training while it grows. Changes no run."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from resnet_lab import command
from resnet_lab.config.checks import ConfigError

SUFFIXES = (".png", ".svg", ".pdf")


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    made = command.parser("find_lr")
    made.add_argument("overrides", nargs="*", default=[], metavar="OVERRIDES", help="as for training")
    made.add_argument("--lowest", type=float, default=1e-6, help="the first rate (default: 1e-6)")
    made.add_argument("--highest", type=float, default=10.0, help="the last rate (default: 10)")
    made.add_argument("--steps", type=int, default=300, help="mini-batches (default: 300)")
    made.add_argument("--out", type=Path, default=Path("find_lr.png"), metavar="FILE", help="picture to write")
    return made


def main(arguments: Sequence[str]) -> int:
    """Test rates, print a suggestion, draw. Raises ConfigError for a wrong setting."""
    options = parser().parse_intermixed_args(arguments)
    _check(options)

    from resnet_lab.config.compose import load_config

    config = load_config(*options.overrides)
    config.trainer.refuse_several_devices("find_lr")

    from resnet_lab.bench.range_test import draw, range_test
    from resnet_lab.text import printable
    from resnet_lab.training.log import show_on_terminal

    show_on_terminal(logging.WARNING)
    found = range_test(config, options.lowest, options.highest, options.steps)
    draw(found, f"{config.name}, {config.optim.name.name}").savefig(options.out, dpi=120)
    print(f"the loss falls fastest at optim.lr={found.suggestion:.2g}; the curve is in {printable(str(options.out))}")
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raise ConfigError for a wrong option, before any work."""
    if not 0 < options.lowest < options.highest <= 1e6:
        wanted = "0 < --lowest < --highest, at most 1e6"
        raise ConfigError(f"rates must be {wanted}, got {options.lowest:g} and {options.highest:g}")
    if not 50 <= options.steps <= 10**5:
        raise ConfigError(f"--steps must be 50 to 100,000, got {options.steps}")
    if options.out.suffix not in SUFFIXES:
        raise ConfigError(f"--out must end in {', '.join(SUFFIXES)}, got {options.out.name}")
    if not options.out.resolve().parent.is_dir():
        raise ConfigError(f"--out: there is no folder {options.out.resolve().parent}")


if __name__ == "__main__":
    command.run_command(main)
