"""Time until own images are ready: `python -m benchmarks.own_images [FOLDER]` times decoding and later starts."""

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import decide
from benchmarks.facts import RESULTS, facts, write
from resnet_lab.config.compose import load_config
from resnet_lab.config.data import DataConfig
from resnet_lab.data import own
from resnet_lab.data.listing import list_images, listing_of

DECODED, IDENTIFIED = 50_000, 100_000  # images
LIMITS = {"second start": 2.0, "fingerprint, known files": 3.0}  # seconds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own_images", description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, help="JPEG files, such as CIFAR-10's; by default random ones of 32x32 pixels"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=DECODED, help="to decode")
    parser.add_argument("--identified", type=int, default=IDENTIFIED, help="images to compute the fingerprint of")
    parser.add_argument("--out", type=Path, default=RESULTS / "own_images.json")
    options = parser.parse_args()
    content = facts("benchmarks.own_images") | report(
        options.folder, options.rounds, options.images, options.identified
    )
    for name, spread in content["spread"].items():
        print(f"{name}: {spread['median']:.2f} s")
    write(options.out, content)
    return 0 if decide.passed(content["checks"]) else 1


def report(source: Path | None, rounds: int, images: int, identified: int) -> dict[str, Any]:
    """Measure the seconds in every round, each with an empty cache folder, and check their medians."""
    with tempfile.TemporaryDirectory() as folder:
        files = sorted(source.rglob("*.jpg")) if source else made(Path(folder) / "made", images)
        root, large = Path(folder) / "root", Path(folder) / "large"
        link(itertools.islice(itertools.cycle(files), images), root)
        link(itertools.islice(itertools.cycle(files), identified), large)
        measured = [one_round(root, large, Path(folder) / f"cache-{number}") for number in range(rounds)]
    seconds = {name: [each[name] for each in measured] for name in measured[0]}
    checks = [
        decide.verdict(f"{name} (s)", statistics.median(seconds[name]), limit, at_least=False)
        for name, limit in LIMITS.items()
    ]
    spreads = {name: decide.spread(values) for name, values in seconds.items()}
    return {"images": {"decoded": images, "identified": identified}, "spread": spreads, "checks": checks}


def one_round(root: Path, large: Path, cache: Path) -> dict[str, float]:
    """Measure with the system's own caches warm, since they cannot be emptied without being root."""
    os.environ["XDG_CACHE_HOME"] = str(cache)
    decoded, identified = settings(root), settings(large)
    return {
        "decoding": seconds(lambda: own.image_folder(decoded)),
        "second start": seconds(lambda: own.image_folder(decoded)),
        "fingerprint, new files": seconds(lambda: own.folder_facts(identified)),
        "fingerprint, known files": seconds(lambda: own.folder_facts(identified)),
        "listing": seconds(lambda: listing_of(identified)),
    }


def seconds(action: Callable[[], object]) -> float:
    """Measure as in a new process, which has listed no folder yet."""
    list_images.cache_clear()
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def settings(root: Path) -> DataConfig:
    return load_config("data=image_folder", f"data.root={root}", "data.image_size=32").data


def link(files: Any, root: Path) -> None:
    """Make a folder of ten classes from links to the files, a sixth of them as test part."""
    for number, file in enumerate(files):
        place = root / ("test" if number % 6 == 0 else "train") / str(number % 10)
        place.mkdir(parents=True, exist_ok=True)
        os.link(file, place / f"{number:06}.jpg")


def made(folder: Path, count: int) -> list[Path]:
    """Write smooth random images of 32×32 pixels as JPEG files of quality 75."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        coarse.resize((32, 32), Image.Resampling.BICUBIC).save(folder / f"{number:06}.jpg", quality=75)
    return sorted(folder.iterdir())


if __name__ == "__main__":
    sys.exit(main())
