"""What an autoencoder makes of images and of latent vectors, in eval mode.

`net` is an `Autoencoder`, and `task` a `Reconstruction`.
"""

import numpy as np
import torch
from torch import Tensor

from resnet_lab.data.corrupt import corrupted
from resnet_lab.data.images import colours
from resnet_lab.inspect.maps import CHUNK
from resnet_lab.inspect.replica import replica
from resnet_lab.model.autoencoder import Autoencoder
from resnet_lab.model.resnet import ResNetV2
from resnet_lab.tasks.base import Task
from resnet_lab.tasks.reconstruction import Reconstruction


def encoded(net: ResNetV2, images_NCHW: Tensor) -> np.ndarray:
    """Return the latent vectors of normalised images: (N, D), or (N, D, h, w) of a convolutional latent layer.

    Of a variational autoencoder, these are the means.
    """
    other = _replica(net)
    with torch.no_grad():
        return _gathered([other.encode(chunk) for chunk in images_NCHW.split(CHUNK)])


def decoded(net: ResNetV2, task: Task, latent_ND: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the images that latent vectors stand for, with pixels nominally in 0…1: (N, C, H, W).

    `shape` is that of one image's latent vector: (D,) or (D, h, w).
    """
    other, like = _replica(net), next(net.parameters())
    latent = torch.tensor(latent_ND, dtype=like.dtype, device=like.device).unflatten(1, shape)
    with torch.no_grad():
        return _gathered([_checked(task).pixels(other.decode(chunk)) for chunk in latent.split(CHUNK)])


def reconstructed(net: ResNetV2, task: Task, images_NCHW: Tensor) -> np.ndarray:
    """Return the reconstructions of normalised images, with pixels nominally in 0…1: (N, C, H, W)."""
    other = _replica(net)
    with torch.no_grad():
        return _gathered([_checked(task).pixels(other(chunk)) for chunk in images_NCHW.split(CHUNK)])


def inputs(task: Task, images_NCHW: Tensor, seed: int = 0) -> Tensor:
    """Return what the network is given for normalised images: corrupted copies, if `data.corrupt` asks for them."""
    noise = np.random.default_rng(seed)
    return corrupted(images_NCHW, task.config.data.corrupt, _checked(task).normalise, noise)


def originals(task: Task, images_NCHW: Tensor) -> np.ndarray:
    """Return the pixels of normalised images in 0…1: (N, C, H, W)."""
    return _gathered([_checked(task).shares(images_NCHW)])


def as_pictures(pixels_BCHW: np.ndarray) -> np.ndarray:
    """Convert pixels to grey or RGB in 0…1, without an alpha channel, for matplotlib: (B, H, W, 1 or 3).

    Series stay (B, C, L).
    """
    if pixels_BCHW.ndim == 3:
        return pixels_BCHW
    shown = pixels_BCHW[:, : colours(pixels_BCHW.shape[1])]
    return np.asarray(shown.clip(0, 1).transpose(0, 2, 3, 1))


def _replica(net: ResNetV2) -> Autoencoder:
    other = replica(net)
    assert isinstance(other, Autoencoder)
    return other


def _checked(task: Task) -> Reconstruction:
    assert isinstance(task, Reconstruction)
    return task


def _gathered(chunks: list[Tensor]) -> np.ndarray:
    return np.asarray(torch.cat(chunks).float().cpu().numpy())
