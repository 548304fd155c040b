"""Blur for the steps of an optimisation, against noise of single pixels or to start with large structures."""

import torch
from torch import Tensor


def blurred(images_BCHW: Tensor, sigma: float) -> Tensor:
    """Convolve with a Gaussian of standard deviation `sigma` (pixels), with periodic boundaries."""
    if sigma == 0:
        return images_BCHW
    height, width = images_BCHW.shape[2:]
    device = images_BCHW.device
    vertical = torch.fft.fftfreq(height, device=device)[:, None]
    horizontal = torch.fft.rfftfreq(width, device=device)
    damping = torch.exp(-2 * (torch.pi * sigma) ** 2 * (vertical**2 + horizontal**2))
    return torch.fft.irfft2(torch.fft.rfft2(images_BCHW) * damping, s=(height, width))
