"""Picture TensorBoard as a person sees it: `python docs/screenshot.py LOGDIR PICTURE.png VIEW`.

VIEW is what follows the slash in the address, as #hparams or #scalars&_smoothingWeight=0&tagFilter=error.

Needs Chromium (Debian's package chromium).
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

SECONDS_TO_START = 60
MILLISECONDS_TO_LOAD = 20_000


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(url: str) -> None:
    """Until the page answers. Raises TimeoutError."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
    raise TimeoutError(f"{url} does not answer")


def screenshot(logdir: Path, picture: Path, view: str) -> None:
    """Start TensorBoard on `logdir`, and save what Chromium shows at `view`."""
    port = free_port()
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server, tempfile.TemporaryDirectory() as profile:
        try:
            wait_for(f"http://localhost:{port}/data/plugins_listing")
            subprocess.run(
                [
                    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                    "--no-first-run", f"--user-data-dir={profile}", "--window-size=1800,800",
                    f"--virtual-time-budget={MILLISECONDS_TO_LOAD}", f"--screenshot={picture.absolute()}",
                    f"http://localhost:{port}/{view}",
                ],
                check=True,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        finally:
            server.terminate()


if __name__ == "__main__":
    screenshot(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "#scalars")
