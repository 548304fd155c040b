"""Settings of the augmentations, such as `augment.crop.pad` and `augment.flip.p`."""

from dataclasses import dataclass

from resnet_lab.config.checks import require, require_within


@dataclass(slots=True, kw_only=True)
class CropSettings:
    """Zero-pad, then crop to the original size at a random position."""

    pad: int = 4  # zero pixels added on each side; 0: no crop

    def __post_init__(self) -> None:
        require_within(self, "augment.crop", pad=(0, 4096))

    @property
    def active(self) -> bool:
        return self.pad > 0


@dataclass(slots=True, kw_only=True)
class FlipSettings:
    """Flip horizontally at random."""

    p: float = 0.5  # probability; 0: no flip

    def __post_init__(self) -> None:
        require(0 <= self.p <= 1, f"augment.flip.p must be a probability in [0, 1], got {self.p}")

    @property
    def active(self) -> bool:
        return self.p > 0
