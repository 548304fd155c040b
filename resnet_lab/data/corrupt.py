"""Corrupted copies of images, from which an autoencoder returns the originals."""

from typing import assert_never

import numpy as np
import torch
from torch import Tensor

from resnet_lab.config.decoder import CorruptConfig
from resnet_lab.config.enums import Corruption
from resnet_lab.data.images import Normalisation


def corrupted(images_BCHW: Tensor, config: CorruptConfig, normalise: Normalisation, rng: np.random.Generator) -> Tensor:
    """Return corrupted copies of normalised images, whose pixels stay in 0…1.

    The numbers of a stream do not depend on how the images are split into batches, nor on the device.
    """
    shares_BCHW = normalise.shares(images_BCHW)
    batch, channels, height, width = shares_BCHW.shape
    match config.kind:
        case Corruption.none:
            return images_BCHW
        case Corruption.gaussian:
            noise = rng.standard_normal((batch, channels, height, width), dtype=np.float32)
            changed = shares_BCHW + config.amount * torch.from_numpy(noise).to(shares_BCHW)
        case Corruption.mask:
            kept = rng.random((batch, 1, height, width), dtype=np.float32) >= config.amount
            changed = shares_BCHW * torch.from_numpy(kept).to(shares_BCHW)
        case _:
            assert_never(config.kind)
    return normalise.of_shares(changed.clamp(0, 1))
