"""Feature maps, and which images activate them."""

import numpy as np
import torch
from torch import Tensor

from resnet_lab.inspect.replica import intermediate, replica
from resnet_lab.model.dimensions import mean_over_positions
from resnet_lab.model.resnet import ResNetV2

CHUNK = 256  # images per forward pass


def mean_reaction(maps_BMHW: Tensor) -> Tensor:
    """Return each map's reaction to each image, its mean over all positions: (B, M)."""
    return mean_over_positions(maps_BMHW)


def feature_maps(net: ResNetV2, images_BCHW: Tensor, name: str) -> np.ndarray:
    """Return the maps (B, M, H, W) of a layer, named as in `replica.intermediate`."""
    with torch.no_grad():
        maps: np.ndarray = intermediate(replica(net), images_BCHW, name).cpu().numpy()
    return maps


def by_strength(maps_MHW: np.ndarray) -> np.ndarray:
    """Return the map indices of one image, the strongest (by root mean square) first."""
    strength: np.ndarray = np.sqrt((maps_MHW.astype(float) ** 2).reshape(len(maps_MHW), -1).mean(axis=1))
    return np.argsort(-strength, kind="stable")


def reactions(net: ResNetV2, images_NCHW: Tensor, name: str) -> np.ndarray:
    """Return the reaction of each map of a layer to each image: (N, M)."""
    other = replica(net)
    with torch.no_grad():
        chunks = [mean_reaction(intermediate(other, chunk, name)) for chunk in images_NCHW.split(CHUNK)]
    return torch.cat(chunks).cpu().numpy()


def most_excited(reactions_NM: np.ndarray, chosen: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the maps whose mean reaction to the images `chosen` exceeds that to all images most.

    In units of each map's standard deviation: a map that is always strong says nothing about these images.
    """
    std = reactions_NM.std(axis=0)
    excess = reactions_NM[chosen].mean(axis=0) - reactions_NM.mean(axis=0)
    surprise = np.divide(excess, std, out=np.full_like(excess, -np.inf), where=std > 1e-8)
    return np.argsort(-surprise, kind="stable")[:count]
