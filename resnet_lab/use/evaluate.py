"""Test stored networks on labelled images, and compare them."""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.data.corrupt import corrupted
from resnet_lab.data.loader import evaluation_noise
from resnet_lab.rundir.directory import RunDirectory, refuse_unwritable_file
from resnet_lab.rundir.files import write_json
from resnet_lab.tasks.cost import measure
from resnet_lab.text import plain_console, plural, printable
from resnet_lab.training.runtime import Runtime
from resnet_lab.use.calibration import calibrated
from resnet_lab.use.corrupt import corruption
from resnet_lab.use.images import LabelledImages, images_to_test, refuse_different, refuse_other_settings
from resnet_lab.use.mean_scores import MeanScores
from resnet_lab.use.scores import Scores, scores_of
from resnet_lab.use.show import Compared, write_page
from resnet_lab.use.terminal import progress_bar, say, say_if_unfinished
from resnet_lab.use.trained import Trained

WIDTH = 250  # characters, if the output is not a terminal

Pixels = npt.NDArray[np.uint8]
LEVELS = range(1, 6)
Count = Callable[[int], object]  # is told how many images are done


def evaluate(options: argparse.Namespace) -> None:
    """Evaluate all runs, compare them in pairs, and show or write the results. Raises ConfigError and OSError."""
    refuse_other_settings(options.overrides)
    for file in filter(None, (options.json, options.page)):
        refuse_unwritable_file(file, "--json" if file is options.json else "--page")
    found: list[Scores | MeanScores] = []
    first: tuple[Trained, LabelledImages] | None = None
    for label, run_dir in zip(labels(options.runs), options.runs, strict=True):
        trained = Trained.load(run_dir, options.checkpoint)
        say_if_unfinished(run_dir)
        if options.size:
            trained = trained.at(options.size, options.resize_to)
        refuse_flip(options.flip, trained, "--flip")
        if options.corrupt:
            trained.refuse_series("--corrupt")
        images = images_to_test(run_dir, trained, options.overrides)
        if first is None:
            first = trained, images
            data = trained.config.data
            size = f" of {options.size}x{options.size} pixels" if options.size else ""
            flipped = ", each with its mirror image" if options.flip else ""
            say(f"{images.what}: {plural(len(images.rows), data.thing, data.things)}{size}{flipped}")
        _refuse_another_task(first[0], trained, (options.runs[0], run_dir))
        refuse_different(first[1], images, (options.runs[0], run_dir))
        trained, how = calibrated(trained, run_dir, options.checkpoint)
        if how:
            say(how)
        found.append(scored(label, run_dir, trained, images, options.corrupt, options.flip))
    compared = Compared.of(found)
    console = plain_console(WIDTH)
    for grid in compared.grids:
        console.print(grid.table(), "")
    for contrast in compared.contrasts:
        console.print(contrast.words())
    for file in filter(None, (options.json, options.page)):
        file.absolute().parent.mkdir(parents=True, exist_ok=True)
    if options.json:
        content = {
            "checkpoint": options.checkpoint,
            "flip": options.flip,
            "size": options.size,
            "runs": [
                {"path": str(path.resolve()), **one.to_dict()} for path, one in zip(options.runs, found, strict=True)
            ],
            "comparisons": [one.to_dict() for one in compared.contrasts],
        }
        write_json(options.json, content)
    if options.page:
        outputs = "probabilities" if trained.classifies else "outputs"
        flipped = f"; {outputs} are averaged over each image and its mirror image" if options.flip else ""
        write_page(options.page, found, compared, f"The {options.checkpoint} checkpoint{flipped}")


def refuse_flip(flip: bool, trained: Trained, name: str) -> None:
    """Raise ConfigError if predictions of mirror images would be averaged, of series or images that a task returns."""
    if flip:
        trained.refuse_series(name)
    require(
        not flip or not trained.task.info.decodes,
        f"{name} averages predictions of an image and its mirror image, but task={trained.config.task} returns images",
    )


def _refuse_another_task(one: Trained, other: Trained, runs: tuple[Path, Path]) -> None:
    """Raise ConfigError unless two networks predict the same of each image, by name."""
    tasks = [trained.config.task for trained in (one, other)]
    names = " and ".join(printable(str(run)) for run in runs)
    require(tasks[0] == tasks[1], f"{names} were trained for different tasks, {tasks[0]} and {tasks[1]}")
    same = one.classifies or sorted(one.classes) == sorted(other.classes)
    require(same, f"{names} were trained for different attributes: they cannot be compared")


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
) -> Scores | MeanScores:
    """Test a network on images, and on copies with each kind of corruption; `label` names it in the result."""
    copies = [(kind, level) for kind in corrupt for level in LEVELS]
    with progress_bar() as progress:
        task = progress.add_task("evaluating", total=(1 + len(copies)) * len(images.rows))

        def done(count: int) -> None:
            progress.advance(task, count)

        corrupted: dict[str, list[float]] = {}
        with as_in_training(run_dir, trained) as network:
            if not trained.classifies:
                each, details = means(network, images, flip, done)
                for kind, level in copies:
                    others, _ = means(network, images, flip, done, corruption(kind, level))
                    corrupted.setdefault(kind, []).append(float(others.mean()))
                return MeanScores(label, images.what, trained.task.info.scoring, each, details, corrupted)
            made = probabilities(network, images, flip, done)
            for kind, level in copies:
                likely = probabilities(network, images, flip, done, corruption(kind, level))
                wrong = (likely.argmax(dim=1).numpy() != images.labels).sum()
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
    made = []
    for _, pixels in _batches(trained, images, corrupt):
        each = [(trained.outputs(view).double() / trained.temperature).softmax(dim=1) for view in _views(pixels, flip)]
        made.append(torch.stack(each).mean(dim=0))
        if done:
            done(len(pixels))
    return torch.cat(made)


def means(
    trained: Trained,
    images: LabelledImages,
    flip: bool = False,
    done: Count | None = None,
    corrupt: Callable[[Pixels], Pixels] | None = None,
) -> tuple[npt.NDArray[np.float64], dict[str, Any]]:
    """Return what the score averages, of each image (M,), and further scores, for any task.

    With `flip`, outputs are averaged with those of mirror images. Images that are returned are compared with the
    originals, whatever `corrupt` and, as in the run's own test, `data.corrupt` do to the inputs. Raises ConfigError if
    the task gives no score of a single image.
    """
    task, penalties = trained.task, []
    details, noise = task.details(), evaluation_noise()
    for rows, pixels in _batches(trained, images, corrupt):
        if task.info.decodes:
            originals = trained.inputs(np.array(images.pixels[images.rows[rows]]))
            given = corrupted(trained.inputs(pixels), trained.config.data.corrupt, trained.normalise, noise)
            outputs, targets = trained.apply(given), task.targets(originals.cpu(), torch.empty(0))
        else:
            outputs = torch.stack([trained.outputs(view) for view in _views(pixels, flip)]).mean(dim=0)
            targets = task.targets(trained.normalise(torch.from_numpy(pixels)), torch.from_numpy(images.labels[rows]))
        try:
            penalties.append(task.penalties(outputs, targets))
        except RuntimeError as error:
            raise ConfigError(f"task={trained.config.task} has no penalty of a single image ({error:.100})") from error
        if details:
            details.add(outputs, targets)
        if done:
            done(len(pixels))
    each = np.array([task.score(penalty, 1) for penalty in torch.cat(penalties).tolist()])
    return each, details.scores(trained.classes) if details else {}


def _batches(
    trained: Trained, images: LabelledImages, corrupt: Callable[[Pixels], Pixels] | None
) -> Iterator[tuple[slice, Pixels]]:
    """Yield the positions of some images, and their pixels, corrupted if asked for."""
    size = trained.config.trainer.eval_batch_size
    for start in range(0, len(images.rows), size):
        batch = slice(start, start + size)
        pixels = np.array(images.pixels[images.rows[batch]])
        yield batch, corrupt(pixels) if corrupt else pixels


def _views(pixels: Pixels, flip: bool) -> list[Pixels]:
    return [pixels, pixels[..., ::-1].copy()] if flip else [pixels]


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
