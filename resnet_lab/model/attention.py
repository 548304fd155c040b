"""Squeeze-and-excitation: the maps of a unit are weighted by what their means say (Hu et al., arXiv:1709.01507)."""

from typing import assert_never

from torch import Tensor, nn

from resnet_lab.config.branch import AttentionConfig
from resnet_lab.config.model_enums import Attention
from resnet_lab.model.dimensions import mean_over_positions


class SqueezeExcitation(nn.Module):
    """x · sigmoid(W₂ relu(W₁ mean(x))), where the mean is over positions; W₁ has maps / reduction hidden units."""

    def __init__(self, maps: int, config: AttentionConfig) -> None:
        super().__init__()
        hidden = config.hidden(maps)
        self.squeeze = nn.Linear(maps, hidden, bias=config.bias)
        self.excite = nn.Linear(hidden, maps, bias=config.bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        weights_BC = self.excite(self.squeeze(mean_over_positions(x_BCHW)).relu()).sigmoid()
        return x_BCHW * weights_BC[(..., *[None] * (x_BCHW.ndim - 2))]


def attention(in_maps: int, maps: int, config: AttentionConfig) -> SqueezeExcitation | None:
    """Build the attention of a unit from `in_maps` to `maps` maps; None if it has none."""
    match config.kind:
        case Attention.none:
            return None
        case Attention.se:
            return SqueezeExcitation(in_maps if config.on_input else maps, config)
        case _:
            assert_never(config.kind)
