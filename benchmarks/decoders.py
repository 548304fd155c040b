"""A faster decoder of JPEG files next to Pillow, alone and with resizing to 64 pixels: `python -m benchmarks.decoders`.

Needs simplejpeg (pip install simplejpeg), which the lab itself does not use. On one CPU thread.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image

from benchmarks import decide, photos
from benchmarks.facts import RESULTS, facts, write
from resnet_lab.config.compose import load_config
from resnet_lab.data.decode import read_image
from resnet_lab.data.fit import Decoding, as_array, fitted

COUNT = 150  # photographs
WORTH_IT = 1.5  # times as fast: another dependency pays off

Way = Callable[[Path], Any]  # of a file to pixels


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoders", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULTS / "decoders.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = made(Path(folder))
        measured = {what: compared(files, ways(what), options.rounds) for what in ("decode", "read")}
    content = facts("benchmarks.decoders") | {"simplejpeg": simplejpeg.__version__, "worth_it": WORTH_IT}
    write(options.out, content | {"count": COUNT, "measured": measured, "checks": []})
    return 0


def made(folder: Path) -> list[Path]:
    """Return files with photographs of mixed sizes."""
    rng, files = np.random.default_rng(0), [folder / f"{number}.jpg" for number in range(COUNT)]
    for file in files:
        photos.photograph(rng).save(file, quality=85)
    return files


def ways(what: str) -> dict[str, Way]:
    """Return how Pillow and simplejpeg decode a file, or read it as the lab does for networks of 64 pixels."""
    if what == "decode":
        return {"pillow": lambda file: np.asarray(Image.open(file).convert("RGB")), "simplejpeg": decoded}
    how = Decoding.of(load_config("+experiment=imagenet_18", "data.image_size=64").data)
    return {
        "pillow": lambda file: read_image(file, how),
        "simplejpeg": lambda file: as_array(fitted(Image.fromarray(decoded(file)), how)),
    }


def decoded(file: Path) -> Any:
    return simplejpeg.decode_jpeg(file.read_bytes(), "RGB")


def compared(files: list[Path], ways: dict[str, Way], rounds: int) -> dict[str, Any]:
    """Return images/s of both, the ratio, and whether their pixels are the same."""
    same = all(np.array_equal(*(way(file) for way in ways.values())) for file in files)
    found = []
    for number in range(rounds):
        speeds = {}
        for name in decide.order([*ways], number):
            start = time.perf_counter()
            for file in files:
                ways[name](file)
            speeds[name] = len(files) / (time.perf_counter() - start)
        found.append(speeds)
    spreads = {name: decide.spread([one[name] for one in found]) for name in ways}
    return spreads | {"ratio": decide.spread([one["simplejpeg"] / one["pillow"] for one in found]), "same": same}


if __name__ == "__main__":
    sys.exit(main())
