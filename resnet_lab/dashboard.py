"""`resnet-lab dashboard [DIR…] [--port N]`: open TensorBoard on runs, each named by what varies among them."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from resnet_lab import command
from resnet_lab.config.checks import ConfigError, require_folder

REFRESH_SECONDS = 10.0  # between searches for new runs


def parser() -> argparse.ArgumentParser:
    """Return the parser for the command's options."""
    made = command.parser("dashboard")
    where = "directories to search for runs (default: outputs)"
    made.add_argument("directories", nargs="*", type=Path, default=[Path("outputs")], metavar="DIR", help=where)
    made.add_argument("--port", type=int, default=6006, metavar="N", help="default: 6006; 0 takes a free one")
    made.add_argument("--host", default="localhost", metavar="ADDRESS", help="0.0.0.0 serves other machines as well")
    return made


def main(arguments: Sequence[str]) -> int:
    """Serve until Ctrl-C. Raises ConfigError if there is no run yet."""
    made = parser()
    options = made.parse_args(arguments)
    if not 0 <= options.port < 2**16:
        made.error(f"--port must be 0 to {2**16 - 1}, got {options.port}")
    for directory in options.directories:
        require_folder(directory)

    from resnet_lab.report.view import View
    from resnet_lab.rundir.files import temporary_folder

    with temporary_folder("resnet_lab_dashboard_") as folder:
        view = View(folder / "runs")
        if not view.update(options.directories):
            raise ConfigError(f"no run directories under {', '.join(map(str, options.directories))}")
        where = ["--logdir", str(view.folder), "--host", options.host, "--port", str(options.port)]
        server = subprocess.Popen([sys.executable, "-m", "tensorboard.main", *where])
        try:
            while True:
                try:
                    return int(server.wait(REFRESH_SECONDS) != 0)
                except subprocess.TimeoutExpired:
                    view.update(options.directories)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    command.run_command(main)
