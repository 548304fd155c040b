"""Corrupted copies of images, from which an autoencoder returns the originals."""

from typing import assert_never

import numpy as np
import torch
from torch import Tensor

from resnet_lab.config.decoder import CorruptConfig
from resnet_lab.config.enums import Corruption
from resnet_lab.data.images import Normalisation, colours


def corrupted(images_BCHW: Tensor, config: CorruptConfig, normalise: Normalisation, rng: np.random.Generator) -> Tensor:
    """Return corrupted copies of normalised images, whose pixels stay in 0…1; an alpha channel stays as it is.

    Series are changed as they are normalised, so masked moments get their mean. The numbers of a stream do not depend
    on how the images are split into batches, nor on the device.
    """
    if config.kind is Corruption.none:
        return images_BCHW
    if images_BCHW.ndim == 3:
        return changed(images_BCHW, config.kind, config.amount, rng)
    shares_BCHW = normalise.shares(images_BCHW)
    own_BCHW = shares_BCHW[:, : colours(shares_BCHW.shape[1])]
    own_BCHW.copy_(changed(own_BCHW, config.kind, config.amount, rng).clamp(0, 1))
    return normalise.of_shares(shares_BCHW)


def changed(shares_BCHW: Tensor, kind: Corruption, amount: float, rng: np.random.Generator) -> Tensor:
    """Return pixels of 0…1 with noise of standard deviation `amount`, or with that share of them black.

    Random numbers are drawn in float64 for images in float64, else in float32.
    """
    batch, _, *sides = shares_BCHW.shape
    dtype = np.float64 if shares_BCHW.dtype == torch.float64 else np.float32
    match kind:
        case Corruption.none:
            return shares_BCHW
        case Corruption.gaussian:
            noise = rng.standard_normal(shares_BCHW.shape, dtype=dtype)
            return shares_BCHW + amount * torch.from_numpy(noise).to(shares_BCHW)
        case Corruption.mask:
            kept = rng.random((batch, 1, *sides), dtype=dtype) >= amount
            return shares_BCHW * torch.from_numpy(kept).to(shares_BCHW)
        case _:
            assert_never(kind)
