"""BatchNorm over the mini-batch of all processes that train together; torch's own refuses CPUs."""

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.nn import functional as F


def synchronised(x_BCHW: Tensor, weight_C: Tensor, bias_C: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise by mean and variance over all processes; return also these, (C,) float64, the variance unbiased.

    Each direction takes one message: sums, sums of squares and the number of values; and the two sums of the gradient
    (arXiv:1502.03167, section 3).
    """
    mean_C, variance_C, count = _statistics(x_BCHW)
    out_BCHW = _Normalised.apply(x_BCHW, weight_C, bias_C, mean_C, variance_C, count, eps)
    return out_BCHW, mean_C, variance_C * count / (count - 1)


@torch.no_grad()
def _statistics(x_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and variance (C,) over all processes, and the number of values of a channel.

    The own variance is that of differences from the own mean. Its sums of squares are float64, so nothing cancels.
    """
    own_variance_C, own_mean_C = torch.var_mean(_wide(x_BCHW), _all_but_channels(x_BCHW), correction=0)
    own_variance_C, own_mean_C = own_variance_C.double(), own_mean_C.double()
    own = own_mean_C.new_full((1,), x_BCHW.numel() / x_BCHW.shape[1])
    sums = torch.cat([own * own_mean_C, own * (own_variance_C + own_mean_C.square()), own])
    dist.all_reduce(sums)
    count = sums[-1]
    mean_C, square_C = (sums[:-1] / count).chunk(2)
    return mean_C, square_C - mean_C.square(), count


class _Normalised(torch.autograd.Function):
    """BatchNorm by given statistics, which depend on the input of all processes."""

    @staticmethod
    def forward(
        ctx: Any,
        x_BCHW: Tensor,
        weight_C: Tensor,
        bias_C: Tensor,
        mean_C: Tensor,
        variance_C: Tensor,
        count: Tensor,
        eps: float,
    ) -> Tensor:
        mean_C, variance_C = mean_C.to(weight_C.dtype), variance_C.to(weight_C.dtype)
        ctx.save_for_backward(x_BCHW, weight_C, mean_C, (variance_C + eps).rsqrt(), count)
        return F.batch_norm(x_BCHW, mean_C, variance_C, weight_C, bias_C, training=False, eps=eps)

    @staticmethod
    def backward(ctx: Any, gradient_BCHW: Tensor) -> tuple[Tensor | None, ...]:
        x_BCHW, weight_C, mean_C, scale_C, count = ctx.saved_tensors
        over, shape = _all_but_channels(x_BCHW), (1, -1, *[1] * (x_BCHW.ndim - 2))
        gradient = _wide(gradient_BCHW)
        normalised = (_wide(x_BCHW) - mean_C.view(shape)) * scale_C.view(shape)
        bias_C, weights_C = gradient.sum(over), (gradient * normalised).sum(over)
        sums = torch.cat([bias_C, weights_C]).double()
        dist.all_reduce(sums)
        mean_of_gradient, mean_of_product = (each.to(weight_C.dtype).view(shape) for each in (sums / count).chunk(2))
        slope = (weight_C * scale_C).view(shape)
        inputs = slope * (gradient - mean_of_gradient - normalised * mean_of_product)
        return inputs.to(x_BCHW.dtype), weights_C, bias_C, None, None, None, None


def _all_but_channels(x_BCHW: Tensor) -> tuple[int, ...]:
    return 0, *range(2, x_BCHW.ndim)


def _wide(x: Tensor) -> Tensor:
    """Return half precision as float32, and other tensors as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
