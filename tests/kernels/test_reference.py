"""The algorithms are right: their gradients, in float64, and their results in float32 are those of the kernels."""

import pytest
import torch
from support.kernels import Convolution, Normalised
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.kernels import native

LAST, EPS = torch.channels_last, 1e-5


def maps(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype).contiguous(memory_format=LAST)


@pytest.mark.parametrize(("height", "width"), [(4, 4), (5, 6), (7, 4)])
def test_gradients_of_convolutions(height: int, width: int):
    torch.manual_seed(0)
    x, kernels = maps(2, 3, height, width), maps(4, 3, 3, 3)
    torch.testing.assert_close(Convolution.apply(x, kernels), F.conv2d(x, kernels, padding=1))
    assert torch.autograd.gradcheck(Convolution.apply, (x.requires_grad_(), kernels.requires_grad_()))


def test_gradients_of_norms():
    torch.manual_seed(0)
    inputs = [
        each.requires_grad_()
        for each in (maps(3, 4, 5, 2), maps(3, 4, 5, 2), torch.rand(4).double(), maps(4, 1, 1, 1)[:, 0, 0, 0])
    ]
    assert torch.autograd.gradcheck(Normalised.apply, (*inputs, EPS))


def test_the_kernels_compute_them():
    torch.manual_seed(0)
    x, added, kernels = (maps(*shape, dtype=torch.float32) for shape in ((3, 17, 9, 6), (3, 17, 9, 6), (8, 17, 3, 3)))
    torch.testing.assert_close(native.convolved(x, kernels), Convolution.apply(x, kernels), rtol=1e-5, atol=1e-5)
    weight, bias, running = torch.rand(17), torch.randn(17), (torch.zeros(17), torch.ones(17))
    out, state = native.norm_forward(x, added, weight, bias, running, 0.1, EPS, True)
    inputs = [each.double().requires_grad_() for each in (x, added, weight, bias)]
    expected = Normalised.apply(*inputs, EPS)
    torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=1e-5)
    found = native.norm_backward(x, added, out, state, True)
    for own, exact in zip(found, torch.autograd.grad(expected, inputs, added.double()), strict=True):
        assert own is not None
        torch.testing.assert_close(own.double(), exact, rtol=1e-4, atol=1e-4)
