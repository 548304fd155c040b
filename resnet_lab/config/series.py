"""Settings of data sets of series."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from resnet_lab.config.checks import require_bounded
from resnet_lab.config.fields import setting
from resnet_lab.config.registry import DATASETS


class Scale(Enum):
    """What the values of series become."""

    given = "what they are in the files"
    each = "of mean 0 and standard deviation 1 in each channel of each series"
    training = "of mean 0 and standard deviation 1 in each channel, over the training part"


class Unequal(Enum):
    """What is done to series of different lengths."""

    pad = "zeros at the end, up to the length of the longest, after scaling"
    stretch = "linear interpolation to the length of the longest"
    refuse = "stop with a message"


class Missing(Enum):
    """What is done to values that are missing."""

    interpolate = "straight lines between their neighbours"
    zero = "zero, after scaling"
    refuse = "stop with a message"


def _reads_name(data: Any) -> bool:
    return "series" in DATASETS.info(data.name).reads


def _reads_series(data: Any) -> bool:
    return bool(data.reads_series)


@dataclass(slots=True, kw_only=True)
class SeriesConfig:
    """Which series, and how they are made ready."""

    name: str | None = setting(None, used=_reads_name)  # of a data set of the UCR archive
    scale: Scale = setting(Scale.each, used=_reads_series)
    unequal: Unequal = setting(Unequal.pad, used=_reads_series)
    missing: Missing = setting(Missing.interpolate, used=_reads_series)

    def __post_init__(self) -> None:
        require_bounded(self, "data.series.")
