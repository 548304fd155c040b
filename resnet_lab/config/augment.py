"""Settings of the augmentations, such as `augment.crop.pad` and `augment.flip.p`."""

import math
from dataclasses import dataclass
from typing import Any

from resnet_lab.config.checks import require, require_within
from resnet_lab.config.enums import Filling, Padding, Spread
from resnet_lab.config.fields import setting

STRENGTHS = 31  # of an operation of TrivialAugment and RandAugment, as in torchvision


def _require_probability(section: Any, name: str) -> None:
    require(0 <= section.p <= 1, f"augment.{name}.p must be a probability in [0, 1], got {section.p}")


def _require_share(section: Any, name: str) -> None:
    require(0 < section.share <= 1, f"augment.{name}.share must be above 0 and at most 1, got {section.share}")


def _require_bounds(section: Any, option: str, name: str, most: float) -> None:
    bounds = getattr(section, name)
    require(
        len(bounds) == 2 and 0 < bounds[0] <= bounds[1] <= most and math.isfinite(bounds[1]),
        f"augment.{option}.{name} must be two numbers, [least,most], above 0{' and at most 1' if most == 1 else ''}, "
        f"got {bounds}",
    )


def _name(section: Any) -> str:
    """Return the name of an augmentation, from that of the class of its settings."""
    return type(section).__name__.removesuffix("Settings").lower()


@dataclass(slots=True, kw_only=True)
class CropSettings:
    """Pad, then crop to the original size at a random position."""

    pad: int = 4  # pixels added on each side; 0: no crop
    padding: Padding = setting(Padding.zero, used=lambda crop: crop.padding is not Padding.zero)

    def __post_init__(self) -> None:
        require_within(self, "augment.crop", pad=(0, 4096))

    @property
    def active(self) -> bool:
        return self.pad > 0


@dataclass(slots=True, kw_only=True)
class ResizedCropSettings:
    """Crop a part of random size and aspect ratio, and resize it to the original size (arXiv:1409.4842)."""

    p: float = 0.0  # probability; 0: none
    area: list[float] = setting(factory=lambda: [0.08, 1.0])  # least and most, as shares of the image
    ratio: list[float] = setting(factory=lambda: [3 / 4, 4 / 3])  # height / width: least and most
    spread: Spread = Spread.log

    def __post_init__(self) -> None:
        _require_probability(self, "resized_crop")
        _require_bounds(self, "resized_crop", "area", most=1)
        _require_bounds(self, "resized_crop", "ratio", most=math.inf)

    @property
    def active(self) -> bool:
        return self.p > 0


@dataclass(slots=True, kw_only=True)
class ScaleCropSettings:
    """Resize the shorter side to a random length, then crop to the original size at random (arXiv:1512.03385)."""

    p: float = 0.0  # probability; 0: none
    shorter: list[int] = setting(factory=lambda: [256, 480])  # pixels of the shorter side, least and most

    def __post_init__(self) -> None:
        _require_probability(self, "scale_crop")
        _require_bounds(self, "scale_crop", "shorter", most=math.inf)

    @property
    def active(self) -> bool:
        return self.p > 0


@dataclass(slots=True, kw_only=True)
class ShiftSettings:
    """Shift by any part of a pixel; what enters repeats the border."""

    x: float = 0.0  # most, to either side, as a share of the width
    y: float = 0.0  # most, up or down, as a share of the height

    def __post_init__(self) -> None:
        require_within(self, "augment.shift", x=(0, 1), y=(0, 1))

    @property
    def active(self) -> bool:
        return self.x > 0 or self.y > 0


@dataclass(slots=True, kw_only=True)
class FlipSettings:
    """Flip horizontally at random."""

    p: float = 0.5  # probability; 0: no flip

    def __post_init__(self) -> None:
        _require_probability(self, "flip")

    @property
    def active(self) -> bool:
        return self.p > 0


@dataclass(slots=True, kw_only=True)
class JitterSettings:
    """Random brightness, contrast and saturation, in random order: each multiplied by a number in 1 ± the setting."""

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0

    def __post_init__(self) -> None:
        require_within(self, "augment.jitter", brightness=(0, 1), contrast=(0, 1), saturation=(0, 1))

    @property
    def active(self) -> bool:
        return max(self.brightness, self.contrast, self.saturation) > 0


@dataclass(slots=True, kw_only=True)
class RandSettings:
    """RandAugment (arXiv:1909.13719): some operations of one strength."""

    n: int = 0  # operations for each image, one after the other; 0: none
    magnitude: int = 9  # of the strengths 0 to 30

    def __post_init__(self) -> None:
        require_within(self, "augment.rand", n=(0, 20), magnitude=(0, STRENGTHS - 1))

    @property
    def active(self) -> bool:
        return self.n > 0


@dataclass(slots=True, kw_only=True)
class TrivialSettings:
    """TrivialAugment (arXiv:2103.10158): one operation of any strength, in the wide space."""

    p: float = 0.0  # probability; 0: none

    def __post_init__(self) -> None:
        _require_probability(self, "trivial")

    @property
    def active(self) -> bool:
        return self.p > 0


@dataclass(slots=True, kw_only=True)
class CutoutSettings:
    """Cutout (arXiv:1708.04552): zero a square whose centre is anywhere in the image, so that it may stick out."""

    length: int = 0  # pixels; 0: no cutout

    def __post_init__(self) -> None:
        require_within(self, "augment.cutout", length=(0, 16384))

    @property
    def active(self) -> bool:
        return self.length > 0


@dataclass(slots=True, kw_only=True)
class ErasingSettings:
    """Random erasing (arXiv:1708.04896): fill a rectangle inside the image."""

    p: float = 0.0  # probability; 0: none
    area: list[float] = setting(factory=lambda: [0.02, 1 / 3])  # least and most, as shares of the image
    ratio: list[float] = setting(factory=lambda: [0.3, 3.3])  # height / width: least and most, log-uniform
    value: Filling = Filling.zero

    def __post_init__(self) -> None:
        _require_probability(self, "erasing")
        _require_bounds(self, "erasing", "area", most=1)
        _require_bounds(self, "erasing", "ratio", most=math.inf)

    @property
    def active(self) -> bool:
        return self.p > 0


@dataclass(slots=True, kw_only=True)
class SliceSettings:
    """Window slicing: a part of a series at a random place, stretched to the length of the whole."""

    share: float = 1.0  # of the positions; 1: no slicing

    def __post_init__(self) -> None:
        _require_share(self, "slice")

    @property
    def active(self) -> bool:
        return self.share < 1


@dataclass(slots=True, kw_only=True)
class WarpSettings:
    """Window warping: a part of a series at a random place gets longer or shorter, and the whole its former length."""

    p: float = 0.0  # probability; 0: none
    share: float = 0.1  # of the positions, in that part
    factors: list[float] = setting(factory=lambda: [0.5, 2.0])  # of its length, one of which is drawn

    def __post_init__(self) -> None:
        _require_probability(self, "warp")
        _require_share(self, "warp")
        require(
            len(self.factors) > 0 and all(0.01 <= factor <= 100 for factor in self.factors),
            f"augment.warp.factors must be numbers from 0.01 to 100, as in [0.5,2], got {self.factors}",
        )

    @property
    def active(self) -> bool:
        return self.p > 0


@dataclass(slots=True, kw_only=True)
class _NormalSettings:
    """The standard deviation of normal numbers."""

    std: float = 0.0  # 0: none

    def __post_init__(self) -> None:
        require_within(self, f"augment.{_name(self)}", std=(0, 1000))

    @property
    def active(self) -> bool:
        return self.std > 0


@dataclass(slots=True, kw_only=True)
class LightingSettings(_NormalSettings):
    """Add a random colour: normal along the principal components of the colours of ImageNet."""


@dataclass(slots=True, kw_only=True)
class ScaleSettings(_NormalSettings):
    """Multiply each channel of each series by a number from N(1, std²)."""


@dataclass(slots=True, kw_only=True)
class GaussianSettings(_NormalSettings):
    """Add a number from N(0, std²) to each value."""


@dataclass(slots=True, kw_only=True)
class _MixingSettings:
    """The weight of an image, against another one of its mini-batch, is drawn from Beta(alpha, alpha)."""

    alpha: float = 0.0  # 0: none
    p: float = 1.0  # probability that an image is mixed

    def __post_init__(self) -> None:
        name = _name(self)
        require(
            self.alpha == 0 or 0.001 <= self.alpha <= 1000,
            f"augment.{name}.alpha must be 0.001 to 1000, or 0 to switch {name} off, got {self.alpha}",
        )
        _require_probability(self, name)

    @property
    def active(self) -> bool:
        return self.alpha > 0 and self.p > 0


@dataclass(slots=True, kw_only=True)
class MixupSettings(_MixingSettings):
    """Mixup (arXiv:1710.09412): images and labels are averaged with those of another image."""


@dataclass(slots=True, kw_only=True)
class CutmixSettings(_MixingSettings):
    """CutMix (arXiv:1905.04899): a rectangle is that of another image, and labels are averaged by area."""

    p: float = 0.5
