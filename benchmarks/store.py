"""Where pixels are kept: `python -m benchmarks.store [FOLDER]` measures loading alone, and trainings from each store.

Photographs are made, of mixed sizes; FOLDER may hold other JPEG files, in class folders, for loading alone. Loading is
compared with the decoder's own limit: as many processes as cores decode the same images, and hand nothing over.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import decide, photos
from benchmarks.facts import RESULTS, facts, write
from resnet_lab.config.compose import load_config
from resnet_lab.data import own
from resnet_lab.data.file_pixels import FilePixels
from resnet_lab.data.listing import Indices, list_images
from resnet_lab.data.sources import Source
from resnet_lab.data.stores import InFiles
from resnet_lab.training.runtime import physical_cores

WAYS = {  # of loading at 64 pixels
    "files": ("data.store=files",),
    "pack, JPEG": ("data.pack.side=80",),
    "pack, pixels": ("data.pack.side=80", "data.pack.quality=null"),
}
COUNTS = (1000, 20_000)  # photographs
BATCH, LOADED = 256, 10_000  # images of a batch, and of a measurement
TRAININGS = {  # of imagenet_18, on photographs
    "files": ("data.store=files",),
    "host": ("data.store=host", "data.whole=false"),
    "pack": ("data.pack.side=80",),
}
PHOTOGRAPHS = (
    "+experiment=imagenet_18",
    "data.image_size=64",
    "data.num_classes=null",
    "trainer.eval_batch_size=64",
)
CIFAR = ("+experiment=cifar10_56", "data=fake", "data.channels=3", "data.image_size=32", "data.num_images=4000")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--counts", type=int, nargs=2, default=COUNTS, help="photographs of a small and a large set")
    parser.add_argument("--out", type=Path, default=RESULTS / "store.json")
    options = parser.parse_args()
    content = facts("benchmarks.store") | report(options.folder, options.rounds, options.counts)
    for check in content["checks"]:
        print(f"{check['what']}: {check['value']:.3g}, {'passed' if check['passed'] else 'FAILED'}")
    write(options.out, content)
    return 0 if decide.passed(content["checks"]) else 1


def report(folder: Path | None, rounds: int, counts: Sequence[int], batches: int | None = None) -> dict[str, Any]:
    """Measure everything; trainings are of `batches` mini-batches, or whole epochs."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CACHE_HOME"] = f"{place}/cache"
        sets = {count: photos.folder(Path(place) / str(count), count) for count in counts}
        loading = {"photographs": loaded(sets[counts[1]], rounds)}
        if folder:
            loading["folder"] = loaded(folder, rounds)
        trainings = {
            name: {f"{count}": trained((*PHOTOGRAPHS, *way, f"data.root={sets[count]}"), batches) for count in counts}
            for name, way in TRAININGS.items()
        }
        host = on_host(rounds, batches)
        memory = {f"{count}": memory_of(sets[count], batches) for count in counts}
    files, (small, large) = trainings["files"], (memory[f"{count}"] for count in counts)
    checks = [
        decide.verdict("files / the decoder's limit", loading["photographs"]["files"]["ratio"]["median"], 0.9),
        decide.verdict("host / device, cifar10_56", host["median"], 0.95),
        decide.verdict("memory, many / few files", large / small, 1.1, at_least=False),
        decide.verdict("second start-up (s)", max(own["start"] for own in files.values()), 3.0, at_least=False),
    ]
    measured = {"loading": loading, "trainings": trainings, "memory": memory, "host": host}
    return measured | {"counts": [*counts], "checks": checks}


def loaded(root: Path, rounds: int) -> dict[str, Any]:
    """Return for each way the seconds to decode once, images/s of loading and of the limit, and their ratio."""
    found = {}
    for name, way in WAYS.items():
        config = load_config("data=image_folder", f"data.root={root}", "data.image_size=64", *way).data
        list_images.cache_clear()
        start = time.perf_counter()
        source = own.image_folder(config)
        once = time.perf_counter() - start
        rows = np.random.default_rng(0).permutation(np.resize(source.rows["train"], LOADED))
        measured = [(limit(source, rows), speed(source, rows)) for _ in range(rounds)]
        found[name] = {
            "once": once,
            "limit": decide.spread([one for one, _ in measured]),
            "loaded": decide.spread([other for _, other in measured]),
            "ratio": decide.spread([other / one for one, other in measured]),
        }
    return found


def speed(source: Source, rows: Indices) -> float:
    """Return images/s of the loader alone."""
    store = InFiles(source.train, torch.device("cpu"), physical_cores())
    return per_second(len(rows), store.batches(rows, BATCH))


def limit(source: Source, rows: Indices) -> float:
    """Return images/s of as many processes as there are cores, each with its share of the images."""
    pixels, cores, context = source.train.pixels, physical_cores(), get_context("fork")
    assert isinstance(pixels, FilePixels)
    processes = [context.Process(target=decode, args=(pixels, rows[first::cores])) for first in range(cores)]

    def work() -> Iterable[None]:
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        yield

    return per_second(len(rows), work())


def decode(pixels: FilePixels, rows: Indices) -> None:
    for start in range(0, len(rows), BATCH):
        pixels.read(rows[start : start + BATCH])


def per_second(count: int, work: Iterable[object]) -> float:
    start = time.perf_counter()
    for _ in work:
        pass
    return count / (time.perf_counter() - start)


def trained(settings: Sequence[str], batches: int | None = None) -> dict[str, float]:
    """Return images/s and peak memory of a process that trains, and the seconds until it, and a first one, did.

    The first one decodes all images. These seconds are the lab's own: Python's imports are not part of them.
    """
    first = result_of(*settings, "trainer.max_epochs=1", "trainer.max_batches=1")
    second = result_of(*settings, "trainer.max_epochs=1", f"trainer.max_batches={batches or 'null'}")
    once, start = (own["wall"]["start_up"] + own["wall"]["data"] for own in (first, second))
    speed = second["history"][-1]["images_per_second"]
    return {"images_per_second": speed, "memory": second["peak_memory"], "once": once, "start": start}


def memory_of(root: Path, batches: int | None) -> int:
    """Return the peak memory of a process that trains from files for a few short epochs of as many mini-batches."""
    short = (f"trainer.max_epochs={1 if batches else 8}", "trainer.max_batches=3")
    peak: int = result_of(*PHOTOGRAPHS, *TRAININGS["files"], *short, f"data.root={root}")["peak_memory"]
    return peak


def on_host(rounds: int, batches: int | None) -> dict[str, float]:
    """Return the speed of `data.store=host` relative to `device`, each of the second epoch of a process."""
    few = (*CIFAR, f"trainer.max_batches={batches or 8}", "trainer.max_epochs=2", "trainer.num_threads=1")
    found = []
    for number in range(rounds):
        names = decide.order(["device", "host"], number)
        measured = {name: result_of(*few, f"data.store={name}")["history"][-1] for name in names}
        found.append(measured["host"]["images_per_second"] / measured["device"]["images_per_second"])
    return decide.spread(found)


def result_of(*settings: str) -> dict[str, Any]:
    """Return the result of a run in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "resnet_lab", *settings, "trainer=cpu", f"output_dir={folder}"]
        subprocess.run([*command, "diagnostics=off"], check=True, capture_output=True)
        [file] = Path(folder).rglob("result.json")
        found: dict[str, Any] = json.loads(file.read_text())
    return found


if __name__ == "__main__":
    sys.exit(main())
