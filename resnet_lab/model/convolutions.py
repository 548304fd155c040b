"""Convolutions that torch does not have: with standardised kernels, or of few maps with a stride."""

from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lab.config.checks import require

EPS = 1e-5  # added to the standard deviation, as in the code of arXiv:1903.10520
# Below this number of input maps, the backward pass of a strided 1x1 convolution in channels-last layout writes beyond
# its memory on CPUs without AVX-512 (torch 2.13).
SAFE_MAPS = 8


def convolution(
    in_maps: int, maps: int, kernel: int, stride: int, dilation: int, groups: int, bias: bool, standardise: bool = False
) -> nn.Conv2d:
    """Build a convolution with "same" padding: (B, in_maps, H, W) → (B, maps, ⌈H/stride⌉, ⌈W/stride⌉).

    Raises ConfigError if a standardised kernel would have a single weight.
    """
    require(
        not standardise or in_maps // groups * kernel**2 > 1,
        "model.weight_standardisation: a 1x1 convolution of a single map has only one weight: give it more maps, "
        "or leave it out",
    )
    padding, subsamples = kernel // 2 * dilation, kernel == 1 and stride > 1 and in_maps < SAFE_MAPS
    kind = StandardisedConv2d if standardise else SubsampledConv2d if subsamples else nn.Conv2d
    return kind(in_maps, maps, kernel, stride, padding, dilation, groups, bias)


class SubsampledConv2d(nn.Conv2d):
    """A 1x1 convolution that first takes out the positions its stride keeps."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.with_kernel(x_BCHW, self.weight)

    def with_kernel(self, x_BCHW: Tensor, weight: Tensor) -> Tensor:
        """Convolve with this kernel; a larger one strides as usual."""
        if self.kernel_size != (1, 1) or self.stride == (1, 1):
            return self._conv_forward(x_BCHW, weight, self.bias)
        return F.conv2d(F.avg_pool2d(x_BCHW, 1, self.stride), weight, self.bias, groups=self.groups)


class StandardisedConv2d(SubsampledConv2d):
    """A convolution with standardised kernels, each over its input maps and positions (arXiv:1903.10520)."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.with_kernel(x_BCHW, standardised(self.weight, (1, 2, 3)))


class StandardisedConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution with standardised kernels."""

    padding: tuple[int, ...]

    def forward(self, x_BCHW: Tensor) -> Tensor:  # type: ignore[override]  # of a fixed output size
        weight = standardised(self.weight.unflatten(0, (self.groups, -1)), (1, 3, 4)).flatten(0, 1)
        return F.conv_transpose2d(x_BCHW, weight, self.bias, self.stride, self.padding, groups=self.groups)


def standardised(weight: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return weights with mean 0 and (unbiased) standard deviation 1 over the inputs of each output."""
    centred = weight - weight.mean(dim=dims, keepdim=True)
    return centred / (centred.std(dim=dims, keepdim=True) + EPS)
