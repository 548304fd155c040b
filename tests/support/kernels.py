"""The algorithms of the kernels in a few lines of torch, in any precision: what `norm.c` and `winograd.c` compute."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# F(2×2, 3×3) in one dimension: outputs A·((G·g) ⊙ (B·d)) of a kernel g and a patch d (arXiv:1509.09308, section 4.1).
A = torch.tensor([[1, 1, 1, 0], [0, 1, -1, -1]], dtype=torch.float64)
B = torch.tensor([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], dtype=torch.float64)
G = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], dtype=torch.float64)


def tiles(maps: Tensor, before: int, size: int) -> Tensor:
    """(B, C, H, W) → (B, C, rows, columns, size, size): a tile for every 2×2 outputs, which begins `before` them."""
    odd = [maps.shape[3] % 2, maps.shape[2] % 2]
    after = size - 2 - before
    padded = F.pad(maps, (before, after + odd[0], before, after + odd[1]))
    return padded.unfold(2, size, 2).unfold(3, size, 2)


def both(matrix: Tensor, values: Tensor) -> Tensor:
    """Apply a matrix to rows and columns, the last two dimensions."""
    matrix = matrix.to(values.dtype)
    return matrix @ values @ matrix.T


def convolved(x: Tensor, kernels: Tensor) -> Tensor:
    """The 3×3 convolution of (B, C, H, W) with (K, C, 3, 3) and a border of zeros."""
    products = torch.einsum("bcrsij,kcij->bkrsij", both(B, tiles(x, 1, 4)), both(G, kernels))
    joined = both(A, products).permute(0, 1, 2, 4, 3, 5).flatten(4).flatten(2, 3)
    return joined[:, :, : x.shape[2], : x.shape[3]]


class Convolution(torch.autograd.Function):
    """`convolved`, with its gradients by the same algorithm."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernels: Tensor) -> Tensor:
        ctx.save_for_backward(x, kernels)
        return convolved(x, kernels)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, kernels = ctx.saved_tensors
        patches, spread = both(B, tiles(x, 1, 4)), both(A.T, tiles(gradient, 0, 2))
        points = torch.einsum("bcrsij,bkrsij->kcij", patches, spread)
        return convolved(gradient, kernels.flip(2, 3).transpose(0, 1)), both(G.T, points)


class Normalised(torch.autograd.Function):
    """relu((x - mean) / deviation · weight + bias + added), with its gradients by the formulas of `norm.c`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, added: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        over, shape = (0, 2, 3), (1, -1, 1, 1)
        mean, scale = x.mean(over), (x.var(over, correction=0) + eps).rsqrt()
        out = ((x - mean.view(shape)) * (scale * weight).view(shape) + bias.view(shape) + added).relu()
        ctx.save_for_backward(x, weight, mean, scale, out)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale, out = ctx.saved_tensors
        over, shape, count = (0, 2, 3), (1, -1, 1, 1), x.numel() / x.shape[1]
        own, centred, a = gradient * (out > 0), x - mean.view(shape), scale * weight
        total, product = own.sum(over), (own * centred).sum(over)
        p, q = a * product * scale**2 / count, a * total / count
        inputs = own * a.view(shape) - centred * p.view(shape) - q.view(shape)
        return inputs, own, product * scale, total, None
