"""Settings of the data set."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_lab.config.checks import require, require_at_least
from resnet_lab.config.fields import setting
from resnet_lab.config.registry import DATASETS


@dataclass(slots=True, kw_only=True)
class DataConfig:
    """Data set, input shape, validation split and normalisation."""

    name: str
    channels: int  # 1: grey, 2: grey and alpha, 3: RGB, 4: RGBA
    # In pixels: one number for squares, or [height, width]. Images of other sizes are resized.
    image_size: Any = setting(canonical=lambda data: data.one_size)
    num_classes: int | None  # None: count the class folders
    # Folder to read from and download to. Identifies a run only if it determines the images.
    root: str = setting("data", used=lambda data: data.own_images, canonical=lambda data: str(data.folder.resolve()))
    validation: float = 0.1  # held out of the training part: a fraction below 1, or a number of images
    split_seed: int = setting(0, used=lambda data: data.validation > 0)  # independent of `seed` unless set to ${seed}
    mean: list[float] | None = None  # per channel, for pixels in [0, 1]; None: computed from the training part
    std: list[float] | None = None
    # Number of generated training images; a quarter as many test images are added.
    num_images: int = setting(1024, used=lambda data: DATASETS.info(data.name).made)

    def __post_init__(self) -> None:
        DATASETS.info(self.name)
        size = self.image_size
        sizes = size if isinstance(size, list) else [size]
        require(
            1 <= len(sizes) <= 2 and all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in sizes),
            f"data.image_size must be a positive number of pixels or [height,width], got {size}",
        )
        require_at_least(0, self, "data", "validation", "split_seed")
        require(
            self.validation < 1 or self.validation == int(self.validation),
            f"data.validation must be a fraction below 1 or a whole number of images, got {self.validation}",
        )
        require_at_least(1, self, "data", "num_images")
        for name, values in (("mean", self.mean), ("std", self.std)):
            fits = values is None or (len(values) == self.channels and all(map(math.isfinite, values)))
            require(fits, f"data.{name} must have one number per channel ({self.channels}), got {values}")
        require(self.std is None or all(s > 0 for s in self.std), f"data.std must be positive, got {self.std}")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape (channels, height, width) of the network's input."""
        height, width = self.image_size if isinstance(self.image_size, list) else (self.image_size, self.image_size)
        return self.channels, height, width

    @property
    def one_size(self) -> int | list[int]:
        """Canonical form of `image_size`: one number if square, else [height, width]."""
        _, height, width = self.image_shape
        return height if height == width else [height, width]

    @property
    def folder(self) -> Path:
        return Path(self.root).expanduser()

    @property
    def own_images(self) -> bool:
        """Whether `root` determines the images, as it does for image_folder."""
        return DATASETS.info(self.name).own_images


def class_folders(root: Path, part: str) -> tuple[str, ...]:
    """Return the sorted names of the class folders in `root/<part>`. Raises ConfigError if none exist, and OSError."""
    folder = root / part
    expected = f"expected {folder}/<class>/<images>"
    require(folder.is_dir(), f"data.root={root}: there is no folder {folder}; {expected}")
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    require(len(names) > 0, f"data.root={root}: {folder} has no class folders; {expected}")
    return tuple(names)
