"""The kernels as operations of a training step. They can be differentiated once: second derivatives need torch's."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from resnet_lab.kernels import native


class Normalised(torch.autograd.Function):
    """BatchNorm in training, then what is added if that is given, then ReLU if wanted."""

    @staticmethod
    def forward(
        ctx: Any,
        x_BCHW: Tensor,
        added_BCHW: Tensor | None,
        weight_C: Tensor,
        bias_C: Tensor,
        norm: Any,
        momentum: float,
        with_relu: bool,
    ) -> Tensor:
        running = norm.running_mean, norm.running_var
        out, state = native.norm_forward(x_BCHW, added_BCHW, weight_C, bias_C, running, momentum, norm.eps, with_relu)
        ctx.save_for_backward(x_BCHW, state, None if added_BCHW is None else out)
        ctx.with_relu = with_relu
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BCHW: Tensor) -> tuple[Tensor | None, ...]:
        x_BCHW, state, out_BCHW = ctx.saved_tensors
        gradient_BCHW = gradient_BCHW.contiguous(memory_format=torch.channels_last)
        return *native.norm_backward(x_BCHW, gradient_BCHW, out_BCHW, state, ctx.with_relu), None, None, None


class Convolved(torch.autograd.Function):
    """A 3×3 convolution with stride 1 and a border of zeros, by Winograd's algorithm."""

    @staticmethod
    def forward(ctx: Any, x_BCHW: Tensor, kernels_KCHW: Tensor) -> Tensor:
        ctx.save_for_backward(x_BCHW, kernels_KCHW)
        return native.convolved(x_BCHW, kernels_KCHW)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BKHW: Tensor) -> tuple[Tensor | None, ...]:
        x_BCHW, kernels_KCHW = ctx.saved_tensors
        gradient_BKHW = gradient_BKHW.contiguous(memory_format=torch.channels_last)
        needs_input, needs_kernels = ctx.needs_input_grad
        inputs = native.gradient_of_input(gradient_BKHW, kernels_KCHW) if needs_input else None
        kernels = native.gradient_of_kernels(x_BCHW, gradient_BKHW, kernels_KCHW) if needs_kernels else None
        return inputs, kernels
