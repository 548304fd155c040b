"""Convolutions that torch does not have: of even kernels, with standardised ones, or of few maps with a stride."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lab.config.checks import require
from resnet_lab.model.dimensions import CONVOLUTIONS, average, padded

EPS = 1e-5  # added to the standard deviation, as in the code of arXiv:1903.10520
# Below this number of input maps, the backward pass of a strided 1x1 convolution in channels-last layout writes beyond
# its memory on CPUs without AVX-512 (torch 2.13).
SAFE_MAPS = 8


def convolution(
    dims: int,
    in_maps: int,
    maps: int,
    kernel: int,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    bias: bool = True,
    standardise: bool = False,
) -> nn.Conv1d | nn.Conv2d:
    """Build a convolution with "same" padding: (B, in_maps, H, W) → (B, maps, ⌈H/stride⌉, ⌈W/stride⌉).

    Of an even kernel, more of the padding is at the end, as in TensorFlow and in PyTorch's padding="same". Raises
    ConfigError if a standardised kernel would have a single weight.
    """
    require(
        not standardise or in_maps // groups * kernel > 1,
        "model.weight_standardisation: a 1x1 convolution of a single map has only one weight: give it more maps, "
        "or leave it out",
    )
    subsamples = kernel == 1 and stride > 1 and in_maps < SAFE_MAPS
    span = (kernel - 1) * dilation
    kinds = OWN if span % 2 or subsamples else CONVOLUTIONS
    kind = STANDARDISED[dims] if standardise else kinds[dims]
    return kind(in_maps, maps, kernel, stride, span // 2, dilation, groups, bias)


class _Own(nn.Module):
    """Pads by one more at the end if the kernel is even. If it is 1, takes out the positions that the stride keeps."""

    def forward(self: Any, x_BCHW: Tensor) -> Tensor:
        out: Tensor = self.with_kernel(x_BCHW, self.weight)
        return out

    def with_kernel(self: Any, x_BCHW: Tensor, weight: Tensor) -> Tensor:
        """Convolve with this kernel."""
        if self.kernel_size[0] == 1 and self.stride[0] > 1:
            convolve: Any = F.conv1d if x_BCHW.ndim == 3 else F.conv2d
            convolved: Tensor = convolve(average(x_BCHW, 1, self.stride[0]), weight, self.bias, groups=self.groups)
            return convolved
        if (self.kernel_size[0] - 1) * self.dilation[0] % 2:
            x_BCHW = padded(x_BCHW, 0, 1)
        out: Tensor = self._conv_forward(x_BCHW, weight, self.bias)
        return out


class _Standardised(_Own):
    """Standardises its kernels, each over its input maps and positions (arXiv:1903.10520)."""

    def forward(self: Any, x_BCHW: Tensor) -> Tensor:
        out: Tensor = self.with_kernel(x_BCHW, standardised(self.weight, (1, *range(2, x_BCHW.ndim))))
        return out


class OwnConv1d(_Own, nn.Conv1d):
    """A convolution of a series whose kernel is even, or 1 with a stride."""


class OwnConv2d(_Own, nn.Conv2d):
    """A convolution of an image whose kernel is even, or 1 with a stride."""


class StandardisedConv1d(_Standardised, nn.Conv1d):
    """A convolution of a series with standardised kernels."""


class StandardisedConv2d(_Standardised, nn.Conv2d):
    """A convolution of an image with standardised kernels."""


OWN: dict[int, type[nn.Conv1d | nn.Conv2d]] = {1: OwnConv1d, 2: OwnConv2d}
STANDARDISED: dict[int, type[nn.Conv1d | nn.Conv2d]] = {1: StandardisedConv1d, 2: StandardisedConv2d}


class _StandardisedTransposed(nn.Module):
    """Standardises its kernels, likewise."""

    def forward(self: Any, x_BCHW: Tensor) -> Tensor:
        dims = (1, *range(3, x_BCHW.ndim + 1))
        weight = standardised(self.weight.unflatten(0, (self.groups, -1)), dims).flatten(0, 1)
        convolve: Any = F.conv_transpose1d if x_BCHW.ndim == 3 else F.conv_transpose2d
        transposed: Tensor = convolve(x_BCHW, weight, self.bias, self.stride, self.padding, groups=self.groups)
        return transposed


class StandardisedConvTranspose1d(_StandardisedTransposed, nn.ConvTranspose1d):  # type: ignore[misc]
    """A transposed convolution of a series with standardised kernels."""


class StandardisedConvTranspose2d(_StandardisedTransposed, nn.ConvTranspose2d):  # type: ignore[misc]
    """A transposed convolution of an image with standardised kernels."""


STANDARDISED_TRANSPOSED: dict[int, type[nn.ConvTranspose1d | nn.ConvTranspose2d]] = {
    1: StandardisedConvTranspose1d,
    2: StandardisedConvTranspose2d,
}


def standardised(weight: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return weights with mean 0 and (unbiased) standard deviation 1 over the inputs of each output."""
    centred = weight - weight.mean(dim=dims, keepdim=True)
    return centred / (centred.std(dim=dims, keepdim=True) + EPS)
