"""Feature maps, and which of them react to what."""

import numpy as np
import torch
from torch import Tensor

from resnet_lab.inspect.replica import intermediate, replica
from resnet_lab.model.resnet import ResNetV2

CHUNK = 256  # images at a time


def mean_reaction(maps_BMHW: Tensor) -> Tensor:
    """How strongly each map reacts to each image, as the mean over all positions: (B, M)."""
    return maps_BMHW.mean(dim=(2, 3))


def feature_maps(net: ResNetV2, images_BCHW: Tensor, name: str) -> np.ndarray:
    """The maps (B, M, H, W) of a layer that `replica.intermediate` knows by name."""
    with torch.no_grad():
        maps: np.ndarray = intermediate(replica(net), images_BCHW, name).cpu().numpy()
    return maps


def by_strength(maps_MHW: np.ndarray) -> np.ndarray:
    """The numbers of the maps of one image, the strongest (by root mean square) first."""
    strength: np.ndarray = np.sqrt((maps_MHW.astype(float) ** 2).mean(axis=(1, 2)))
    return np.argsort(-strength, kind="stable")


def reactions(net: ResNetV2, images_NCHW: Tensor, name: str) -> np.ndarray:
    """How strongly every map of a layer reacts to every image: (N, M)."""
    other = replica(net)
    with torch.no_grad():
        chunks = [mean_reaction(intermediate(other, chunk, name)) for chunk in images_NCHW.split(CHUNK)]
    return torch.cat(chunks).cpu().numpy()


def most_excited(reactions_NM: np.ndarray, chosen: np.ndarray, count: int) -> np.ndarray:
    """The numbers of the maps whose mean reaction to the images `chosen` stands out most among their reactions to all.

    In units of their own deviation: a map that is always strong says nothing about these images.
    """
    std = reactions_NM.std(axis=0)
    excess = reactions_NM[chosen].mean(axis=0) - reactions_NM.mean(axis=0)
    surprise = np.divide(excess, std, out=np.full_like(excess, -np.inf), where=std > 1e-8)
    return np.argsort(-surprise, kind="stable")[:count]
