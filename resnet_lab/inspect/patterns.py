"""Activation maximisation: the input pattern to which a map reacts most strongly."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_lab.inspect.maps import mean_reaction
from resnet_lab.inspect.pixel_range import PixelRange
from resnet_lab.inspect.replica import intermediate, replica
from resnet_lab.model.dimensions import INTERPOLATIONS
from resnet_lab.model.resnet import ResNetV2

PATTERN_STEPS = 200
CHUNK = 64  # patterns optimised together
FIRST_STEP, LAST_STEP = 0.3, 0.02  # length of a step as a share of the contrast

Track = Callable[[Iterable[int]], Iterable[int]]  # a progress bar around a loop


@dataclass(frozen=True, slots=True)
class Search:
    """Settings of the search for patterns.

    `contrast` is in standard deviations of the data; `blur` and `jitter` are in pixels.
    """

    steps: int = PATTERN_STEPS
    contrast: float = 1.0  # root mean square of a pattern; that of the normalised images is 1
    blur: float = 0.5  # sigma by which each step's gradient is blurred, to suppress single-pixel noise
    jitter: int = 1  # largest random shift of the pattern at a step; none in the last quarter
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Patterns:
    """Patterns (M, C, H, W), normalised like the images, and the reactions of the maps to them (M,)."""

    images: np.ndarray
    reached: np.ndarray


def maximise(
    net: ResNetV2,
    name: str,
    maps: Sequence[int],
    image_shape: Sequence[int],
    pixel_range: PixelRange,
    search: Search | None = None,
    track: Track = iter,
) -> Patterns:
    """Find the patterns of limited contrast to which the given maps of a layer react most.

    Gradient ascent from noise at several length scales, with scheduled step lengths; the best of all starts is kept.
    """
    search = search or Search()
    other = replica(net)
    generator = torch.Generator().manual_seed(search.seed)
    noise_SCHW = multiscale_noise(image_shape, generator)
    starts = [(number, noise) for number in maps for noise in range(len(noise_SCHW))]
    device = pixel_range.low.device
    found = []
    for first in range(0, len(starts), CHUNK):
        chunk = starts[first : first + CHUNK]
        map_B = torch.tensor([number for number, _ in chunk], device=device)
        start_BCHW = noise_SCHW[[noise for _, noise in chunk]].to(device)

        def react(images_BCHW: Tensor, map_B: Tensor = map_B) -> Tensor:
            return mean_reaction(intermediate(other, images_BCHW, name)).gather(1, map_B[:, None])[:, 0]

        found.append(_ascend(react, start_BCHW, pixel_range, search, generator, track))
    images, reached = (torch.cat(chunks) for chunks in zip(*found, strict=True))
    reached_MS = reached.view(len(maps), len(noise_SCHW))
    best_M = reached_MS.argmax(dim=1)
    chosen = torch.arange(len(maps), device=device) * len(noise_SCHW) + best_M
    return Patterns(images[chosen].cpu().numpy(), reached_MS.amax(dim=1).cpu().numpy())


def multiscale_noise(image_shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Return normal noise (S, C, H, W) with grains of 1, 4, 16, … pixels, up to half of the image."""
    channels, *sides = image_shape
    pictures = []
    grain = 1
    while grain <= max(1, min(sides) // 2):
        coarse = torch.randn(1, channels, *(-(-side // grain) for side in sides), generator=generator)
        fine = F.interpolate(coarse, sides, mode=INTERPOLATIONS[len(sides)], align_corners=False)
        pictures.append((fine - fine.mean()) / fine.std(correction=0).clamp(min=1e-8))
        grain *= 4
    return torch.cat(pictures)


def blurred(images_BCHW: Tensor, sigma: float) -> Tensor:
    """Convolve with a Gaussian of standard deviation `sigma` (pixels), with periodic boundaries."""
    if sigma == 0:
        return images_BCHW
    *others, last = images_BCHW.shape[2:]
    device, dims = images_BCHW.device, tuple(range(2, images_BCHW.ndim))
    squares = torch.fft.rfftfreq(last, device=device) ** 2
    for side in others:
        squares = torch.fft.fftfreq(side, device=device)[:, None] ** 2 + squares
    damping = torch.exp(-2 * (torch.pi * sigma) ** 2 * squares)
    return torch.fft.irfftn(torch.fft.rfftn(images_BCHW, dim=dims) * damping, s=(*others, last), dim=dims)


def _ascend(
    react: Callable[[Tensor], Tensor],
    start_BCHW: Tensor,
    pixel_range: PixelRange,
    search: Search,
    generator: torch.Generator,
    track: Track,
) -> tuple[Tensor, Tensor]:
    """Return the patterns after all steps, and the reactions to them (B,)."""
    images_BCHW = _limited(start_BCHW, pixel_range, search.contrast)
    for step in track(range(search.steps)):
        progress = step / max(1, search.steps - 1)
        jitter = search.jitter if progress < 0.75 else 0
        shift = torch.randint(-jitter, jitter + 1, (start_BCHW.ndim - 2,), generator=generator).tolist()
        images_BCHW = images_BCHW.detach().requires_grad_()
        value = react(images_BCHW.roll(shift, dims=tuple(range(2, images_BCHW.ndim)))).sum()
        (gradient_BCHW,) = torch.autograd.grad(value, images_BCHW)
        nowhere_B111 = gradient_BCHW.abs().amax(dim=tuple(range(1, gradient_BCHW.ndim)), keepdim=True) == 0
        if nowhere_B111.any():  # blocked by an inactive ReLU: restart from other noise
            noise_SCHW = multiscale_noise(start_BCHW.shape[1:], generator).to(images_BCHW.device)
            images_BCHW = torch.where(nowhere_B111, noise_SCHW[step % len(noise_SCHW)], images_BCHW)
        uphill_BCHW = pixel_range.inward(images_BCHW.detach(), blurred(gradient_BCHW, search.blur))
        uphill_BCHW = uphill_BCHW / _rms(uphill_BCHW).clamp(min=1e-12)
        length = search.contrast * FIRST_STEP * (LAST_STEP / FIRST_STEP) ** progress
        images_BCHW = _limited(images_BCHW.detach() + length * uphill_BCHW, pixel_range, search.contrast)
    with torch.no_grad():
        return images_BCHW, react(images_BCHW)


def _limited(images_BCHW: Tensor, pixel_range: PixelRange, contrast: float) -> Tensor:
    """Limit the contrast, and clamp pixels to the range from black to white."""
    return pixel_range.clamp(images_BCHW * (contrast / _rms(images_BCHW).clamp(min=contrast)))


def _rms(images_BCHW: Tensor) -> Tensor:
    return images_BCHW.square().mean(dim=tuple(range(1, images_BCHW.ndim)), keepdim=True).sqrt()
