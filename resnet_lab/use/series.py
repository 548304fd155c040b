"""Series that a command line names: all that are in files of the archives, tables and arrays."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from resnet_lab.config.checks import ConfigError, require
from resnet_lab.data.series import notes, ready
from resnet_lab.data.series_files import SUFFIXES, Series, read_series
from resnet_lab.data.series_table import TABLES, read_table
from resnet_lab.text import first_few, plural, printable
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
            _refuse_other_channels(path, every, trained)
            told = [*notes(every, trained.config.data, printable(str(path)))]
        except ConfigError as error:
            found.failed.append(str(error))
            continue
        found.notes += [f"{printable(str(path))}: {note}" for note in told]
        series |= {path.with_name(f"{path.name}#{number}"): own for number, own in enumerate(every, start=1)}
    found.files = [*series]
    return found, lambda name: ready([series[name]], trained.config.data)[0]


def _series_of(path: Path, trained: Trained) -> list[Series]:
    require(path.is_file(), f"{printable(str(path))} {'is not a file' if path.exists() else 'does not exist'}")
    if path.suffix in SUFFIXES:
        return read_series(path).series
    known = ", ".join((*SUFFIXES, *TABLES))
    require(path.suffix in TABLES, f"{printable(str(path))} is no file of series, which end in {known}")
    return read_table(path, trained.config.data, labelled=False).series


def _refuse_other_channels(path: Path, every: list[Series], trained: Trained) -> None:
    """Raise ConfigError, once for a file, if a series does not have the channels that the network takes."""
    wanted, there = trained.config.data.channels, sorted({len(series) for series in every})
    has = plural(there[0], "channel") if len(there) == 1 else f"{first_few([*map(str, there)])} channels"
    wrong = f"{printable(str(path))} has series of {has}, but the network takes {plural(wanted, 'channel')}"
    require(there == [wanted], wrong)
