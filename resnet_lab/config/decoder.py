"""Settings of a decoder, and of tasks that have one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from resnet_lab.config.checks import require, require_bounded, require_within
from resnet_lab.config.enums import Corruption, ReconstructionLoss
from resnet_lab.config.fields import setting
from resnet_lab.config.model_enums import Activation, DecoderKind, Upsample
from resnet_lab.config.registry import SHORTCUTS, UNITS


def _decodes(model: Any) -> bool:
    return model.decodes


def _own(setting: str, name: str = "") -> Callable[[Any], Any]:
    """Return the canonical form of a setting: None if it is what `kind` gives, however it is spelled."""
    return lambda model: model.own_of_decoder(setting, name or setting)


@dataclass(slots=True, kw_only=True)
class DecoderConfig:
    """The decoder of an autoencoder. What is None follows from `kind`."""

    kind: DecoderKind = setting(DecoderKind.mirror, used=_decodes)
    units: Any = setting(None, used=_decodes, canonical=_own("units", "stack_units"))
    filters: Any = setting(None, used=_decodes, canonical=_own("filters", "stack_filters"))
    reduction: Any = setting(None, used=_decodes, canonical=_own("reduction", "stack_reductions"))
    unit: str | None = setting(None, used=_decodes, canonical=_own("unit"))
    activation: Activation | None = setting(None, used=_decodes, canonical=_own("activation"))
    shortcut: str | None = setting(None, used=_decodes, canonical=_own("shortcut"))
    upsample: Upsample = setting(Upsample.nearest, used=lambda model: model.decodes and max(model.strides) > 1)

    def __post_init__(self) -> None:
        require_bounded(self, "model.decoder.")
        for setting_name, known, name in (("unit", UNITS, self.unit), ("shortcut", SHORTCUTS, self.shortcut)):
            listed = f"model.decoder.{setting_name} can be {', '.join(known)}; got {name}"
            require(name is None or name in known, listed)


@dataclass(slots=True, kw_only=True)
class ReconstructionConfig:
    """What an autoencoder is trained for."""

    loss: ReconstructionLoss = ReconstructionLoss.mse


@dataclass(slots=True, kw_only=True)
class VaeConfig:
    """The prior of a variational autoencoder."""

    # Weight of the KL divergence (summed over the latent dimensions) relative to the loss summed over the pixels.
    beta: float = 1.0

    def __post_init__(self) -> None:
        require_within(self, "vae", beta=(0, 10**9))


@dataclass(slots=True, kw_only=True)
class CorruptConfig:
    """What is done to the images that an autoencoder is given; it is trained to return the originals."""

    kind: Corruption = Corruption.none
    # Standard deviation of pixels in 0…1 or of normalised series, or share of the pixels or moments.
    amount: float = setting(0.2, used=lambda data: data.corrupt.kind is not Corruption.none)

    def __post_init__(self) -> None:
        require_within(self, "data.corrupt", amount=(0, 10))
        require(
            self.kind is not Corruption.mask or self.amount < 1,
            f"data.corrupt.amount must be a share of the pixels below 1 for mask, got {self.amount}",
        )
