"""Classify files with a stored network, batch by batch."""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from resnet_lab.config.checks import ConfigError
from resnet_lab.text import plain_console, plural
from resnet_lab.use.calibration import calibrate, calibrated
from resnet_lab.use.find import find_images
from resnet_lab.use.outputs import Add, Prediction, csv_rows, json_list, sorted_into, table
from resnet_lab.use.terminal import progress_bar, say
from resnet_lab.use.trained import Trained

WIDTH = 200  # characters, if the output is not a terminal


def predict(options: argparse.Namespace) -> int:
    """Classify the images that the command line names; return 1 if any of them failed, 0 otherwise.

    Raises ConfigError for a wrong run or option, and if there are no images; OSError when outputs cannot be written.
    """
    run_dir, checkpoint = options.run_dir, options.checkpoint
    trained = Trained.load_classifier(run_dir, checkpoint)
    if options.calibrate:
        fitted = calibrate(run_dir, checkpoint, trained, options.out or run_dir)
        ece, nll = ("{before:.4g} → {after:.4g}".format(**fitted[name]) for name in ("ece", "nll"))
        images = plural(fitted["images"], "validation image")
        say(f"temperature {fitted['temperature']:.4g}, fitted on {images}: ECE {ece}, NLL {nll}")
    if not options.inputs:
        return 0
    trained, how = calibrated(trained, run_dir, checkpoint, options.out)
    found = find_images(options.inputs)
    if not found.files:
        raise ConfigError("\n".join(found.failed))
    for line in filter(None, (how, *found.left_out, *found.failed)):
        say(line)
    top = min(options.top, len(trained.classes))
    failures = len(found.failed)
    with ExitStack() as stack:
        outputs = [stack.enter_context(output) for output in _outputs(options, trained, top)]
        progress = stack.enter_context(progress_bar(with_data="-" in (options.csv, options.json)))
        made = predictions(trained, found.files, options.batch_size, top)
        for one in progress.track(made, total=len(found.files), description="classifying"):
            if one.failure:
                say(one.failure)
                failures += 1
                continue
            for add in outputs:
                add(one)
    return int(failures > 0)


def predictions(trained: Trained, files: Sequence[Path], batch_size: int, top: int) -> Iterator[Prediction]:
    """Yield the `top` most probable classes of each file, or why it cannot be read.

    `batch_size` images are in memory at a time.
    """

    def decoded(file: Path) -> npt.NDArray[np.uint8] | str:
        try:
            return trained.read(file)
        except ConfigError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(files), batch_size):
            batch = files[start : start + batch_size]
            read = list(pool.map(decoded, batch))
            pixels = [one for one in read if not isinstance(one, str)]
            rankings = iter(_rankings(trained, np.stack(pixels), top) if pixels else [])
            for file, one in zip(batch, read, strict=True):
                yield Prediction(file, failure=one) if isinstance(one, str) else Prediction(file, next(rankings))


def _rankings(trained: Trained, pixels_BCHW: npt.NDArray[np.uint8], top: int) -> list[tuple[tuple[str, float], ...]]:
    values_BK, labels_BK = trained.probabilities(pixels_BCHW).topk(top, dim=1)
    return [
        tuple(zip((trained.classes[label] for label in labels), values, strict=True))
        for labels, values in zip(labels_BK.tolist(), values_BK.tolist(), strict=True)
    ]


def _outputs(options: argparse.Namespace, trained: Trained, top: int) -> Iterator[AbstractContextManager[Add]]:
    """Yield what the options ask for; a table if they ask for nothing else."""
    if options.csv:
        yield csv_rows(options.csv, top)
    if options.json:
        yield json_list(options.json)
    if options.sort_into:
        yield sorted_into(options.sort_into, trained.classes, options.inputs, options.copy)
    if not (options.csv or options.json or options.sort_into):
        yield table(plain_console(WIDTH).print, top)
