"""Test stored networks on labelled images, and compare them."""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from resnet_lab.config.checks import ConfigError
from resnet_lab.rundir.directory import RunDirectory, refuse_unwritable
from resnet_lab.rundir.files import write_json
from resnet_lab.tasks.cost import measure
from resnet_lab.text import plain_console, plural, printable
from resnet_lab.training.runtime import Runtime
from resnet_lab.use.calibration import calibrated
from resnet_lab.use.corrupt import corruption
from resnet_lab.use.images import LabelledImages, images_to_test, refuse_different, refuse_other_settings
from resnet_lab.use.scores import Scores, contrasts, scores_of
from resnet_lab.use.show import grids, write_page
from resnet_lab.use.terminal import progress_bar, say
from resnet_lab.use.trained import Trained

WIDTH = 250  # characters, if the output is not a terminal

Pixels = npt.NDArray[np.uint8]
LEVELS = range(1, 6)
Count = Callable[[int], object]  # is told how many images are done


def evaluate(options: argparse.Namespace) -> None:
    """Evaluate all runs, compare them in pairs, and show or write the results. Raises ConfigError and OSError."""
    refuse_other_settings(options.overrides)
    for file in filter(None, (options.json, options.page)):
        refuse_unwritable(file.absolute().parent, "--json" if file is options.json else "--page")
    found: list[Scores] = []
    first: LabelledImages | None = None
    for label, run_dir in zip(labels(options.runs), options.runs, strict=True):
        trained = Trained.load_classifier(run_dir, options.checkpoint)
        images = images_to_test(run_dir, trained, options.overrides)
        if first is None:
            first = images
            say(f"{images.what}: {plural(len(images.rows), 'image')}")
        refuse_different(first, images, (options.runs[0], run_dir))
        trained, how = calibrated(trained, run_dir, options.checkpoint)
        if how:
            say(how)
        found.append(scored(label, run_dir, trained, images, options.corrupt, options.flip))
    compared = contrasts(found)
    console = plain_console(WIDTH)
    for grid in grids(found):
        console.print(grid.table(), "")
    for contrast in compared:
        console.print(contrast.words())
    if options.json:
        content = {
            "checkpoint": options.checkpoint,
            "flip": options.flip,
            "runs": [
                {"path": str(path.resolve()), **one.to_dict()} for path, one in zip(options.runs, found, strict=True)
            ],
            "comparisons": [one.to_dict() for one in compared],
        }
        write_json(options.json, content)
    if options.page:
        flipped = "; probabilities are averaged over each image and its mirror image" if options.flip else ""
        write_page(options.page, found, compared, f"The {options.checkpoint} checkpoint{flipped}")


def labels(runs: Sequence[Path]) -> list[str]:
    """Return a label for each run: its path, without the folders that all have in common if there are several.

    Raises ConfigError if a run is given twice.
    """
    resolved = [run.resolve() for run in runs]
    if twice := [run for number, run in enumerate(runs) if resolved[number] in resolved[:number]]:
        raise ConfigError(f"{printable(str(twice[0]))} is given twice")
    if len(runs) == 1:
        return [printable(str(runs[0]))]
    common = os.path.commonpath(resolved)
    return [printable(os.path.relpath(run, common)) for run in resolved]


def scored(
    label: str, run_dir: Path, trained: Trained, images: LabelledImages, corrupt: Sequence[str] = (), flip: bool = False
) -> Scores:
    """Test a network on images, and on copies with each kind of corruption; `label` names it in the result."""
    copies = [(kind, level) for kind in corrupt for level in LEVELS]
    with progress_bar() as progress:
        task = progress.add_task("evaluating", total=(1 + len(copies)) * len(images.rows))

        def done(count: int) -> None:
            progress.advance(task, count)

        with as_in_training(run_dir, trained) as network:
            made = probabilities(network, images, flip, done)
            corrupted: dict[str, list[float]] = {}
            for kind, level in copies:
                others = probabilities(network, images, flip, done, corruption(kind, level))
                wrong = (others.argmax(dim=1).numpy() != images.labels).sum()
                corrupted.setdefault(kind, []).append(100 * int(wrong) / len(images.labels))
    named = {"run": label, "images": images.what, "classes": trained.classes}
    return scores_of(made, images.labels, corrupted, temperature=trained.temperature, **named)


def probabilities(
    trained: Trained,
    images: LabelledImages,
    flip: bool = False,
    done: Count | None = None,
    corrupt: Callable[[Pixels], Pixels] | None = None,
) -> Tensor:
    """Return the probabilities (M, K) of the classes in float64; with `flip`, averaged with those of mirror images."""
    size = trained.config.trainer.eval_batch_size
    made = []
    for start in range(0, len(images.rows), size):
        pixels = images.pixels[images.rows[start : start + size]]
        if corrupt:
            pixels = corrupt(pixels)
        views = [pixels, pixels[..., ::-1].copy()] if flip else [pixels]
        each = [(trained.outputs(view).double() / trained.temperature).softmax(dim=1) for view in views]
        made.append(torch.stack(each).mean(dim=0))
        if done:
            done(len(pixels))
    return torch.cat(made)


@contextmanager
def as_in_training(run_dir: Path, trained: Trained) -> Iterator[Trained]:
    """Compute as the run's own test did, if this machine has the same device; otherwise as `auto` chooses."""
    config, result = trained.config, RunDirectory(run_dir).result()
    runtime = Runtime.here(config, measure(config).macs)
    if result and result["device"] == runtime.name:
        runtime = replace(runtime, precision=result["precision"])
    if result and result["precision"] != runtime.precision:
        then = f"{result['precision']} on {result['device']}"
        say(f"{printable(str(run_dir))} was tested in {then}, and now in {runtime.precision}: numbers can differ")
    device = trained.device.type
    mixed = runtime.precision == "bf16-mixed"
    if runtime.precision == "64-true":
        trained = replace(trained, net=trained.net.double())
    with runtime.set_up(), torch.autocast(device, torch.bfloat16) if mixed else nullcontext():
        yield trained
