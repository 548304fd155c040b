"""Measure plain and residual networks for docs/results/why_residual.md: `python scripts/measure_why_residual.py RUNS`.

RUNS is the folder of the sweep that the page names. Writes docs/results/why_residual/measured.json; the page and its
figures are made from that by scripts/write_why_residual.py.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from rich.progress import track
from torch import Tensor

from resnet_lab.config.model_enums import Bridges
from resnet_lab.config.schema import Config
from resnet_lab.data.datamodule import ImageData
from resnet_lab.inspect.flow import Flow, flow
from resnet_lab.inspect.inversion import error_by_frequency, invert
from resnet_lab.inspect.pixel_range import PixelRange
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.rundir.directory import RunDirectory
from resnet_lab.rundir.files import write_json
from resnet_lab.tasks.base import task_of
from resnet_lab.tasks.load import load_run
from resnet_lab.training.result import git_commit, versions
from resnet_lab.training.runtime import physical_cores

OUT = Path(__file__).parents[1] / "docs" / "results" / "why_residual" / "measured.json"
FLOW_IMAGES, INVERTED_IMAGES = 128, 10
AFTER = ("stacks.0", "stacks.1", "stacks.2")  # where images are recovered from
DIGITS = 5  # significant ones, of what is written


def main() -> None:
    """Look inside every run, several at once."""
    folders = sorted(file.parent for file in Path(sys.argv[1]).rglob("result.json"))
    inside = Parallel(n_jobs=physical_cores(), return_as="generator")(delayed(measured)(folder) for folder in folders)
    runs = list(track(inside, "looking inside", total=len(folders)))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    write_json(OUT, {"git_commit": git_commit(), "versions": versions(), "runs": runs})
    print(f"{OUT}: {len(runs)} runs")


def measured(folder: Path) -> dict[str, Any]:
    """One run: how it trained, and what is inside of it before and after."""
    torch.set_num_threads(1)
    result, (config, net) = RunDirectory(folder).result(), load_run(folder)
    images, labels, pixel_range = validation_images(config)
    before, after = (
        flow(n, task_of(config), images[:FLOW_IMAGES], labels[:FLOW_IMAGES]) for n in (initial(config), net)
    )
    frequencies, lost = recovered(net, images[:INVERTED_IMAGES], pixel_range)
    return {
        "depth": result["depth"],
        "shortcut": config.model.shortcut.name,
        "stack_shortcut": config.model.bridges is Bridges.stack,
        "seed": config.seed,
        "device": result["device"],
        "git_commit": result["git_commit"],
        "test_error": rounded([result["last"]["test_error"]])[0],
        "train_error": rounded([record["train/error"] for record in result["history"]]),
        "flow": {"start": numbers(before), "end": numbers(after)},
        "frequencies": rounded(frequencies),
        "lost": lost,
    }


def validation_images(config: Config) -> tuple[Tensor, Tensor, PixelRange]:
    """Images that the network was not trained on, in the order of the data set, and their labels."""
    data = ImageData(config)
    rows = data.validation_rows
    pixels = torch.from_numpy(data.source.train.pixels[rows])
    images = data.normalise(pixels).contiguous(memory_format=torch.channels_last)
    return images, torch.from_numpy(data.source.train.labels[rows]), PixelRange.of(data.normalise)


def initial(config: Config) -> ResNetV2:
    """The network before its first step."""
    torch.manual_seed(config.seed)
    return ResNetV2(config.model)


def numbers(found: Flow) -> dict[str, list[float]]:
    """Of stem and units, from the image on."""
    units = [index for index, name in enumerate(found.names) if name == "stem" or ".units." in name]
    return {what: rounded(getattr(found, what)[units]) for what in ("gradient", "signal")}


def recovered(net: ResNetV2, images_BCHW: Tensor, pixel_range: PixelRange) -> tuple[np.ndarray, dict[str, list[float]]]:
    """Spatial frequencies, and for each layer of AFTER the error of the images found from its tensor at each."""
    pixels = pixel_range.pixels(images_BCHW).numpy()
    lost = {}
    for name in AFTER:
        found = torch.from_numpy(invert(net, name, images_BCHW, pixel_range))
        frequencies, error = error_by_frequency(pixel_range.pixels(found).numpy(), pixels)
        lost[name] = rounded(error)
    return frequencies, lost


def rounded(values: Iterator[float] | list[float] | np.ndarray) -> list[float]:
    """With as many digits as mean something."""
    return [float(f"{float(value):.{DIGITS}g}") for value in values]


if __name__ == "__main__":
    main()
