"""Figures for networks that predict attributes."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure

from resnet_lab.inspect.attributes import AttributeMistakes, attribute_mistakes, correlations
from resnet_lab.inspect.context import InspectContext
from resnet_lab.inspect.figures import MOST_CLASSES, MOST_NUMBERS, Shown, calibration_figure
from resnet_lab.inspect.mosaic import rows_of, titled_figure
from resnet_lab.inspect.saliency import evidence_styles, integrated_gradients, occlusion

MOST_EXPLAINED = 3  # attributes of an image
MOST_ROWS, MOST_MISTAKES = 8, 8  # attributes with their mistakes, and mistakes of an attribute


def errors_figure(found: AttributeMistakes, names: Sequence[str], title: str) -> Figure:
    """Plot the calibration of all decisions together, and the error of each attribute, the worst first."""
    return calibration_figure(found.each, dict(zip(names, found.errors.tolist(), strict=True)), title, "attribute")


def correlation_figure(found: AttributeMistakes, names: Sequence[str], title: str) -> Figure:
    """Plot how attributes are correlated over the images: the true ones, and next to them the predicted ones."""
    count = len(names)
    side = float(np.clip(2.0 + 0.3 * count, 4.0, 9.0))
    figure = titled_figure(2 * side + 1, side, title)
    axes = figure.subplots(1, 2, sharey=True)
    for ax, what, values in zip(axes, ("true", "predicted"), (found.labels, found.predicted), strict=True):
        image = ax.imshow(correlations(values.astype(float)), cmap="RdBu_r", vmin=-1, vmax=1)
        ax.set_title(what, fontsize="small")
        if count <= 2 * MOST_NUMBERS:
            ax.set_xticks(range(count), names, rotation=90, fontsize="x-small")
            ax.set_yticks(range(count), names, fontsize="x-small")
    figure.colorbar(image, ax=axes, label="correlation", fraction=0.03)
    return figure


def show_attribute_saliency(context: InspectContext) -> Iterator[Shown]:
    """Show the evidence for the attributes of which the network is most confident, by image."""
    with torch.no_grad():
        probabilities_BK = context.net(context.chosen).sigmoid()
    best_BR = probabilities_BK.topk(min(MOST_EXPLAINED, len(context.classes)), dim=1).indices
    for rank, targets_B in enumerate(best_BR.T):
        gradients = integrated_gradients(context.net, context.chosen, targets_B).sum(axis=1)
        hidden = occlusion(context.net, context.chosen, targets_B)
        values = probabilities_BK.gather(1, targets_B[:, None])[:, 0]
        captions = [
            f"{name.partition(':')[0]}\n{context.classes[k]} {100 * p:.0f} %"
            for name, k, p in zip(context.chosen_names, targets_B.tolist(), values.tolist(), strict=True)
        ]
        yield Shown(
            f"saliency-{rank}",
            rows_of(
                [context.pictures(context.chosen), gradients, hidden],
                ["image", "integrated\ngradients", "occlusion"],
                [captions, [], []],
                f"{context.name}: evidence for (red) and against (blue) the attribute above, number {rank + 1} of each "
                "image by probability",
                evidence_styles(gradients, hidden),
            ),
            "Integrated gradients: what each pixel adds to the attribute's logit, compared with the mean colour. "
            "Occlusion: how far the logit falls when a square around the pixel is set to the mean colour. Each row has "
            "one colour scale.",
        )


def show_attribute_mistakes(context: InspectContext) -> Iterator[Shown]:
    """Show errors, calibration and correlations of attributes, and the most confident mistakes."""
    found, names = attribute_mistakes(context.net, context.images, context.labels), context.classes
    what = f"{context.name}: {found.errors.mean():.2f} % of {len(names)} attributes of {len(context.images):,} "
    what += f"{context.part} images wrong"
    yield Shown(
        "attributes",
        errors_figure(found, names, what),
        f"Left: for a calibrated network, accuracy equals confidence; all attributes together. At most {MOST_CLASSES} "
        "attributes are shown.",
    )
    yield Shown(
        "correlation",
        correlation_figure(found, names, f"{context.name}: which attributes occur together"),
        "Attributes that all images have, or none, have no correlation (white).",
    )
    worst = [k for k in np.argsort(-found.errors, kind="stable")[:MOST_ROWS] if found.errors[k] > 0]
    if worst:
        numbers = [found.most_confident(k)[:MOST_MISTAKES] for k in worst]
        captions = [
            [f"{'yes' if found.labels[n, k] else 'no'}\n→ {100 * found.probabilities[n, k]:.0f} %" for n in own]
            for k, own in zip(worst, numbers, strict=True)
        ]
        yield Shown(
            "confident-mistakes",
            rows_of(
                [context.pictures(context.images[torch.from_numpy(own)]) for own in numbers],
                [names[k] for k in worst],
                captions,
                f"{context.name}: the most confident mistakes; the true value, and the attribute's probability",
            ),
            f"The {len(worst)} attributes with the largest errors; at most {MOST_MISTAKES} mistakes of each.",
        )
