"""Series that a command line names: all that are in files of the archives, tables and arrays."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.data.series import notes, ready
from resnet_lab.data.series_files import SUFFIXES, Series, read_series
from resnet_lab.data.series_table import TABLES, read_table
from resnet_lab.text import printable
from resnet_lab.use.find import Found, find_images
from resnet_lab.use.trained import Trained

Read = Callable[[Path], npt.NDArray[np.generic]]  # what the network is given for a file, before normalisation


def find_inputs(inputs: Iterable[Path], trained: Trained) -> tuple[Found, Read]:
    """Find the images, or for a network of series the series, and how each is read.

    Each series has the name of its file with its number from 1, as in `GunPoint_TEST.ts#3`.
    """
    if trained.config.data.dims == 2:
        return find_images(inputs), trained.read
    found, series = Found(), dict[Path, Series]()
    for path in inputs:
        try:
            every = _series_of(path, trained)
            told = [*notes(every, trained.config.data, printable(str(path)))]
        except ConfigError as error:
            found.failed.append(str(error))
            continue
        found.notes += [f"{printable(str(path))}: {note}" for note in told]
        series |= {path.with_name(f"{path.name}#{number}"): own for number, own in enumerate(every, start=1)}
    found.files = [*series]
    return found, lambda name: _ready(name, series[name], trained)


def _series_of(path: Path, trained: Trained) -> list[Series]:
    require(path.is_file(), f"{printable(str(path))} {'is not a file' if path.exists() else 'does not exist'}")
    if path.suffix in SUFFIXES:
        return read_series(path).series
    known = ", ".join((*SUFFIXES, *TABLES))
    require(path.suffix in TABLES, f"{printable(str(path))} is no file of series, which end in {known}")
    return read_table(path, trained.config.data, labelled=False).series


def _ready(name: Path, series: Series, trained: Trained) -> npt.NDArray[np.generic]:
    channels = trained.config.data.channels
    wrong = f"{printable(str(name))} has {len(series)} channels, the network takes {channels}"
    require(len(series) == channels, wrong)
    made: npt.NDArray[np.generic] = ready([series], trained.config.data)[0]
    return made
