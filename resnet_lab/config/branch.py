"""Settings of what is done to the residual branch of every unit: attention and stochastic depth."""

from dataclasses import dataclass
from typing import Any

from resnet_lab.config.checks import require, require_within
from resnet_lab.config.fields import setting
from resnet_lab.config.model_enums import Attention, AttentionPlace, DropOver, DropPer, DropRescale


def _attends(model: Any) -> bool:
    return model.attention.kind is not Attention.none


def _place(model: Any) -> AttentionPlace:
    """Return the place; `standard` for `post` if nothing stands between them."""
    place: AttentionPlace = model.attention.place
    sums = model.crosses or model.learned_scale is not None or _drops(model)
    same = place is AttentionPlace.post and not sums and not model.activation.follows_addition
    return AttentionPlace.standard if same else place


def _drops(model: Any) -> bool:
    return model.stochastic_depth.rate > 0


@dataclass(slots=True, kw_only=True)
class AttentionConfig:
    """Weights of maps that a unit computes from their means."""

    kind: Attention = Attention.none
    reduction: int = setting(16, used=_attends)  # maps / hidden units; at least one hidden unit
    place: AttentionPlace = setting(AttentionPlace.standard, used=_attends, canonical=_place)
    bias: bool = setting(False, used=_attends)  # of both linear layers

    def __post_init__(self) -> None:
        require_within(self, "model.attention", reduction=(1, 65536))

    @property
    def on_input(self) -> bool:
        """Whether it acts on what a unit is given."""
        return self.place in (AttentionPlace.pre, AttentionPlace.identity)

    def hidden(self, maps: int) -> int:
        """Return the number of hidden units for a number of maps."""
        return max(1, maps // self.reduction)


@dataclass(slots=True, kw_only=True)
class StochasticDepthConfig:
    """Residual branches that are dropped at random in training (arXiv:1603.09382)."""

    rate: float = 0.0  # probability that the last unit's branch is dropped
    over: DropOver = setting(DropOver.linear, used=_drops)
    per: DropPer = setting(DropPer.batch, used=_drops)
    rescale: DropRescale = setting(DropRescale.test, used=_drops)

    def __post_init__(self) -> None:
        require(0 <= self.rate < 1, f"model.stochastic_depth.rate must be in [0, 1), got {self.rate}")

    def rates(self, units: int) -> list[float]:
        """Return the probability of each unit of a network, from the first to the last."""
        share = {
            DropOver.linear: lambda unit: (unit + 1) / units,
            DropOver.linear_from_zero: lambda unit: unit / max(1, units - 1),
            DropOver.constant: lambda unit: 1.0,
        }[self.over]
        return [self.rate * share(unit) for unit in range(units)]
