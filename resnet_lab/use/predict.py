"""Apply a stored network to files, batch by batch."""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.config.enums import Labels
from resnet_lab.rundir.directory import refuse_unwritable, refuse_unwritable_file
from resnet_lab.text import plain_console, plural, printable
from resnet_lab.use.calibration import calibrate, calibrated
from resnet_lab.use.forms import Prediction, form_of
from resnet_lab.use.outputs import Add, csv_rows, json_list, saved_into, sorted_into, table
from resnet_lab.use.series import Read, find_inputs
from resnet_lab.use.terminal import progress_bar, say, say_if_unfinished
from resnet_lab.use.trained import Trained

WIDTH = 200  # characters, if the output is not a terminal


def predict(options: argparse.Namespace) -> int:
    """Say what the images that the command line names show; return 1 if any of them failed, 0 otherwise.

    Raises ConfigError for a wrong run or option, and if there are no images; OSError when outputs cannot be written.
    """
    run_dir, checkpoint = options.run_dir, options.checkpoint
    _refuse_unwritable(options)
    trained = Trained.load(run_dir, checkpoint)
    say_if_unfinished(run_dir)
    refuse_untold(trained, run_dir)
    decodes = trained.task.info.decodes
    require(decodes or not options.save_into, f"--save-into: task={trained.config.task} returns no images to save")
    for_classes = {"--calibrate": options.calibrate, "--top": options.top > 1, "--sort-into": options.sort_into}
    for option, given in for_classes.items():
        if given:
            trained.refuse_without_classes(option, run_dir)
    for option, given in {"--sort-into": options.sort_into, "--save-into": options.save_into}.items():
        if given:
            trained.refuse_series(option)
    if options.calibrate:
        fitted = calibrate(run_dir, checkpoint, trained, options.out or run_dir)
        ece, nll = ("{before:.4g} → {after:.4g}".format(**fitted[name]) for name in ("ece", "nll"))
        images = plural(fitted["images"], "validation image")
        say(f"temperature {fitted['temperature']:.4g}, fitted on {images}: ECE {ece}, NLL {nll}")
    if not options.inputs:
        return 0
    trained, how = calibrated(trained, run_dir, checkpoint, options.out)
    found, read = find_inputs(options.inputs, trained)
    if not found.files:
        raise ConfigError("\n".join(found.failed))
    for line in filter(None, (how, *found.notes, *found.failed)):
        say(line)
    failures = len(found.failed)
    with ExitStack() as stack:
        outputs = [stack.enter_context(output) for output in _outputs(options, trained)]
        progress = stack.enter_context(progress_bar(with_data="-" in (options.csv, options.json)))
        made = predictions(trained, found.files, read, options.batch_size, options.top)
        for one in progress.track(made, total=len(found.files), description="predicting"):
            if one.failure:
                say(one.failure)
                failures += 1
                continue
            for add in outputs:
                add(one)
    return int(failures > 0)


def predictions(trained: Trained, files: Sequence[Path], read: Read, batch_size: int, top: int) -> Iterator[Prediction]:
    """Yield what each file shows, of classes the `top` most probable ones, or why it cannot be read.

    `batch_size` images are in memory at a time.
    """

    def decoded(file: Path) -> npt.NDArray[Any] | str:
        try:
            return read(file)
        except ConfigError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(files), batch_size):
            batch = files[start : start + batch_size]
            given = list(pool.map(decoded, batch))
            pixels = [one for one in given if not isinstance(one, str)]
            told = iter(_told(trained, np.stack(pixels), top) if pixels else [])
            for file, one in zip(batch, given, strict=True):
                yield Prediction(file, failure=one) if isinstance(one, str) else Prediction(file, **next(told))


def _told(trained: Trained, pixels_BCHW: npt.NDArray[np.uint8], top: int) -> list[dict[str, Any]]:
    """Return the fields of `Prediction` for each image."""
    final = trained.final(pixels_BCHW)
    if trained.task.info.decodes:
        difference = final - trained.shares(pixels_BCHW)
        errors_B = difference.square().mean(dim=tuple(range(1, difference.ndim))).tolist()
        pictures = (255 * final).round().to(torch.uint8) if trained.config.data.dims == 2 else final
        pictures_BCHW = pictures.numpy()
        return [{"mse": error, "picture": one} for error, one in zip(errors_B, pictures_BCHW, strict=True)]
    if trained.labels is Labels.number:
        return [{"number": number} for number in final.tolist()]
    if trained.labels is Labels.attributes:
        return [{"attributes": dict(zip(trained.classes, row, strict=True))} for row in final.tolist()]
    values_BK, labels_BK = final.topk(min(top, len(trained.classes)), dim=1)
    return [
        {"ranking": tuple(zip((trained.classes[label] for label in labels), values, strict=True))}
        for labels, values in zip(labels_BK.tolist(), values_BK.tolist(), strict=True)
    ]


def refuse_untold(trained: Trained, run_dir: Path) -> None:
    """Raise ConfigError if the task has no labels, so that its outputs have no form that all tasks share."""
    where = printable(str(run_dir))
    require(
        trained.labels is not None or trained.task.info.decodes,
        f"{where} was trained for task={trained.config.task}, whose predictions are no classes, attributes or numbers: "
        "apply it in Python (resnet_lab.load_run)",
    )


def _refuse_unwritable(options: argparse.Namespace) -> None:
    """Raise ConfigError, naming the option, if what it asks for could not be written."""
    for name in ("csv", "json"):
        place = getattr(options, name)
        if place not in (None, "-"):
            refuse_unwritable_file(Path(place), f"--{name}")
    for name in ("sort_into", "save_into"):
        if folder := getattr(options, name):
            refuse_unwritable(folder.absolute(), f"--{name.replace('_', '-')}")


def _outputs(options: argparse.Namespace, trained: Trained) -> Iterator[AbstractContextManager[Add]]:
    """Yield what the options ask for; a table if they ask for nothing else."""
    form = form_of(trained.labels, trained.classes, options.top, trained.config.data.dims)
    if options.csv:
        yield csv_rows(options.csv, form)
    if options.json:
        yield json_list(options.json, form)
    if options.sort_into:
        yield sorted_into(options.sort_into, trained.classes, options.inputs, options.copy)
    if options.save_into:
        yield saved_into(options.save_into, options.inputs)
    if not (options.csv or options.json or options.sort_into or options.save_into):
        yield table(plain_console(WIDTH).print, form)
