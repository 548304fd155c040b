"""The settings of every augmentation: `augment.crop.pad`, `augment.flip.p`."""

from dataclasses import dataclass

from resnet_lab.config.checks import require, require_at_least


@dataclass(slots=True, kw_only=True)
class CropSettings:
    """A random crop."""

    pad: int = 4  # zero pixels around the image before it is cropped; 0: no crop

    def __post_init__(self) -> None:
        require_at_least(0, augment__crop__pad=self.pad)

    @property
    def active(self) -> bool:
        return self.pad > 0


@dataclass(slots=True, kw_only=True)
class FlipSettings:
    """A random reflection."""

    p: float = 0.5  # probability; 0: none

    def __post_init__(self) -> None:
        require(0 <= self.p <= 1, f"augment.flip.p must be a probability in [0, 1], got {self.p}")

    @property
    def active(self) -> bool:
        return self.p > 0
