"""What stands at the end of a residual branch, before the sum: a learned factor, and stochastic depth."""

import torch
from torch import Tensor, nn

from resnet_lab.config.branch import StochasticDepthConfig
from resnet_lab.config.model import ModelConfig
from resnet_lab.config.model_enums import DropPer, DropRescale


class LearnedScale(nn.Module):
    """a F(x) with a learned number a (ReZero, arXiv:2003.04887; SkipInit, arXiv:2002.10444)."""

    def __init__(self, initial: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([initial]))

    def forward(self, residual_BCHW: Tensor) -> Tensor:
        return self.scale * residual_BCHW


class StochasticDepth(nn.Module):
    """Zero with probability `rate` in training (Huang et al., arXiv:1603.09382).

    The branch is computed in any case, so that a step is the same sequence of operations: BatchNorm's running
    statistics follow dropped branches too, unlike in the paper's code.
    """

    def __init__(self, rate: float, config: StochasticDepthConfig) -> None:
        super().__init__()
        self.kept = 1 - rate
        self.per_image = config.per is DropPer.image
        self.in_training = config.rescale is DropRescale.training

    def forward(self, residual_BCHW: Tensor) -> Tensor:
        if not self.training:
            return residual_BCHW if self.in_training else self.kept * residual_BCHW
        draws = len(residual_BCHW) if self.per_image else 1
        drawn_B111 = torch.rand(draws, *[1] * (residual_BCHW.ndim - 1), device=residual_BCHW.device)
        kept_B111 = (drawn_B111 < self.kept).to(residual_BCHW.dtype)
        return residual_BCHW * (kept_B111 / self.kept if self.in_training else kept_B111)


def branch_end(drop_rate: float, model: ModelConfig) -> nn.Sequential:
    """Build what a unit does to its branch before the sum, which may be nothing."""
    end = nn.Sequential()
    if model.learned_scale is not None:
        end.add_module("scale", LearnedScale(model.learned_scale))
    if drop_rate:
        end.add_module("drop", StochasticDepth(drop_rate, model.stochastic_depth))
    return end
