"""Picture TensorBoard, or a page, as a person sees it.

    python scripts/screenshot.py LOGDIR PICTURE.png VIEW
    python scripts/screenshot.py PAGE.html PICTURE.png [light|dark]

VIEW is what follows the slash in the address, as ?smoothing=0#timeseries, #hparams or #scalars&_smoothingWeight=0.

Needs Chromium (Debian's package chromium).
"""

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


def capture(url: str, picture: Path, *flags: str) -> None:
    """Save what Chromium shows at an address."""
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                "--no-first-run", "--enable-unsafe-swiftshader", f"--user-data-dir={profile}",
                "--window-size=1400,900", f"--virtual-time-budget={MILLISECONDS_TO_LOAD}",
                f"--screenshot={picture.absolute()}", *flags, url,
            ],
            check=True,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip


def page(file: Path, picture: Path, scheme: str) -> None:
    """Save what Chromium shows of a file, in the light or in the dark."""
    capture(file.absolute().as_uri(), picture, f"--blink-settings=preferredColorScheme={int(scheme == 'light')}")


def screenshot(logdir: Path, picture: Path, view: str) -> None:
    """Start the dashboard on `logdir`, and save what Chromium shows at `view`."""
    port = free_port()
    command = [sys.executable, "-m", "resnet_lab.dashboard", str(logdir), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(f"http://localhost:{port}/data/plugins_listing")
            capture(f"http://localhost:{port}/{view}", picture)
        finally:
            server.terminate()


if __name__ == "__main__":
    shown, saved, how = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    if shown.suffix == ".html":
        page(shown, saved, how[0] if how else "light")
    else:
        screenshot(shown, saved, how[0] if how else "#scalars")
