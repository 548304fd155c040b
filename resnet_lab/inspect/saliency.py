"""Saliency: which pixels determine the prediction, by captum's methods."""

from typing import Any

import numpy as np
import torch
from captum.attr import IntegratedGradients, Occlusion
from torch import Tensor, nn

from resnet_lab.inspect.mosaic import SIGNED
from resnet_lab.inspect.replica import INNERMOST, intermediate, replica
from resnet_lab.model.resnet import ResNetV2

STEPS = 32  # of the path integral
AT_ONCE = 64  # images per forward pass


def integrated_gradients(net: ResNetV2, images_BCHW: Tensor, targets_B: Tensor) -> np.ndarray:
    """Return each pixel's contribution to the target's logit, (B, C, H, W) (arXiv:1703.01365).

    An image's values add up to its logit minus that of the mean colour.
    """
    method = IntegratedGradients(replica(net))
    found = method.attribute(
        images_BCHW,
        torch.zeros_like(images_BCHW),
        target=targets_B,
        n_steps=STEPS,
        internal_batch_size=max(AT_ONCE, len(images_BCHW)),
    )
    return found.detach().cpu().numpy()


def occlusion(net: ResNetV2, images_BCHW: Tensor, targets_B: Tensor) -> np.ndarray:
    """Return how far the target's logit falls when a square is set to the mean colour, (B, H, W).

    The square's side is a quarter of the image's; each pixel holds the mean over the squares that cover it.
    """
    channels, *sides = images_BCHW.shape[1:]
    window = max(1, min(sides) // 4)
    with torch.no_grad():
        found = Occlusion(replica(net)).attribute(
            images_BCHW,
            sliding_window_shapes=(channels, *[window] * len(sides)),
            strides=(channels, *[max(1, window // 2)] * len(sides)),
            baselines=0,
            target=targets_B,
            perturbations_per_eval=max(1, AT_ONCE // len(images_BCHW)),
        )
    return found.mean(dim=1).cpu().numpy()


def class_activation(net: ResNetV2, images_BCHW: Tensor, targets_B: Tensor) -> np.ndarray | None:
    """Return what each position adds to the target's logit, (B, H, W), before it is averaged (arXiv:1512.04150).

    The mean over positions plus the classifier's bias is the logit. None if hidden or latent layers come between.
    """
    classifier = net.head.classifier
    if not isinstance(classifier, nn.Linear) or len(net.head.hidden) or net.head.layer:
        return None
    with torch.no_grad():
        maps_BMHW = intermediate(replica(net), images_BCHW, INNERMOST)
        weights_BM = classifier.weight[targets_B]
        return torch.einsum("bm...,bm->b...", maps_BMHW, weights_BM).cpu().numpy()


def evidence_styles(*rows: np.ndarray) -> list[dict[str, Any]]:
    """Return how a row of pictures and rows of evidence are drawn: red for, blue against, one scale for each row."""
    styles: list[dict[str, Any]] = [{"cmap": "gray", "vmin": 0, "vmax": 1}]
    for values in rows:
        most = float(np.quantile(np.abs(values), 0.995)) or 1.0
        styles.append({"cmap": SIGNED, "vmin": -most, "vmax": most})
    return styles
