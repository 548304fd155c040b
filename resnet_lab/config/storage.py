"""Settings of where images are kept while a network trains."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from resnet_lab.config.checks import require, require_bounded, require_within
from resnet_lab.config.fields import setting
from resnet_lab.config.registry import DATASETS


class Store(Enum):
    """Where the pixels of a run are kept while it trains; `auto` looks for what fits."""

    auto = "on the device if they fit, else on the host, else in files"
    device = "decoded, in the memory of the device that trains"
    host = "decoded, in the memory of the host or mapped from its disk, a call ahead"
    files = "in image files or a packed file, decoded by worker processes whenever they are used"


def has_files(data: Any) -> bool:
    """Return whether each image of a data set is a file."""
    return DATASETS.info(data.name).files and data.dims == 2


@dataclass(slots=True, kw_only=True)
class PackConfig:
    """A packed file of smaller images, made once, from which they are decoded whenever they are used."""

    # Pixels of the shorter side, unless that of the file is less. None: the original files.
    side: int | None = setting(None, used=has_files)
    # Of JPEG data, 1 to 100; None: pixels as they are.
    quality: int | None = setting(95, used=lambda data: has_files(data) and data.pack.side is not None)

    def __post_init__(self) -> None:
        require_bounded(self, "data.pack.")
        require_within(self, "data.pack", side=(1, 16384), quality=(1, 100))


def check_storage(data: Any) -> None:
    """Raise ConfigError if settings of `data` need image files, but it has none, or a store that has no files."""
    for name, asked in (
        ("store=files", data.store is Store.files),
        (f"pack.side={data.pack.side}", data.pack.side is not None),
        ("whole=true", data.whole),
    ):
        require(
            not asked or has_files(data),
            f"data.{name} needs images that are a file each, as those of image_folder, table and celeba, but "
            f"data={data.name} has none",
        )
        require(
            not asked or data.store in (Store.auto, Store.files),
            f"data.{name} needs data.store=files or auto, got {data.store.name}",
        )
    side, least = data.pack.side, data.shorter_side or max(data.image_shape[1:])
    require(
        side is None or side >= least,
        f"data.pack.side must be at least the {least} pixels of data.{'resize_to' if data.resize_to else 'image_size'}"
        f", got {side}",
    )
    require(
        side is None or data.pack.quality is None or data.channels in (1, 3),
        f"data.pack.quality={data.pack.quality}: JPEG has no alpha channel, but data.channels is {data.channels}: set "
        "data.pack.quality=null",
    )
