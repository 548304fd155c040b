"""Parts of the page about the network's predictions: their reasons and their errors."""

from collections.abc import Iterator

import numpy as np
import torch

from resnet_lab.inspect.context import InspectContext
from resnet_lab.inspect.figures import confusion_figure, reliability_figure
from resnet_lab.inspect.mistakes import mistakes
from resnet_lab.inspect.mosaic import drawable, rows_of
from resnet_lab.inspect.saliency import integrated_gradients, occlusion
from resnet_lab.inspect.shown import Shown

MOST_MISTAKES = 16


def show_saliency(context: InspectContext) -> Iterator[Shown]:
    """Saliency: pixels that matter."""
    gradients = integrated_gradients(context.net, context.chosen, context.chosen_labels).sum(axis=1)
    hidden = occlusion(context.net, context.chosen, context.chosen_labels)
    with torch.no_grad():
        confidence, predicted = context.net(context.chosen).softmax(dim=1).max(dim=1)
    captions = [
        f"{name}\n→ {context.classes[p]} {100 * c:.0f} %"
        for name, p, c in zip(context.chosen_names, predicted.tolist(), confidence.tolist(), strict=True)
    ]
    styles = [{"cmap": "gray", "vmin": 0, "vmax": 1}]
    for values in (gradients, hidden):
        most = float(np.quantile(np.abs(values), 0.995)) or 1.0
        styles.append({"cmap": "RdBu_r", "vmin": -most, "vmax": most})
    pictures = [drawable(picture) for picture in context.pictures(context.chosen)]
    yield Shown(
        "saliency",
        rows_of(
            [pictures, list(gradients), list(hidden)],
            ["image", "integrated\ngradients", "occlusion"],
            [captions, [], []],
            f"{context.name}: evidence for (red) and against (blue) the class above, as contributions to its logit",
            styles,
        ),
        "Integrated gradients: what each pixel adds to the class logit, compared with the mean colour. Occlusion: how "
        "far the logit falls when a square around the pixel is set to the mean colour. Each row has one colour scale.",
    )


def show_mistakes(context: InspectContext) -> Iterator[Shown]:
    """Mistakes and calibration."""
    found = mistakes(context.net, context.images, context.labels)
    wrong, count = found.most_confident, len(context.images)
    what = f"{context.name}: {len(wrong)} of {count:,} {context.part} images wrong, {100 * len(wrong) / count:.2f} %"
    yield Shown(
        "confusion", confusion_figure(found, context.classes, what), "Counts; the diagonal holds correct predictions."
    )
    yield Shown(
        "reliability",
        reliability_figure(found, context.classes, what),
        "For a calibrated network, accuracy equals confidence. ECE is the mean distance from the diagonal, weighted "
        "by the number of images in each bin (15 bins of confidence, empty ones left out).",
    )
    if len(wrong):
        numbers = wrong[:MOST_MISTAKES]
        pictures = [drawable(picture) for picture in context.pictures(context.images[torch.from_numpy(numbers)])]
        names = context.classes
        captions = [
            f"{names[found.labels[n]]}\n→ {names[found.predicted[n]]}\n{100 * found.confidence[n]:.0f} %"
            for n in numbers
        ]
        halves = [slice(0, 8), slice(8, 16)][: 1 + (len(numbers) > 8)]
        yield Shown(
            "confident-mistakes",
            rows_of(
                [pictures[half] for half in halves],
                [f"{half.start + 1}–{min(half.stop, len(numbers))}" for half in halves],
                [captions[half] for half in halves],
                f"{context.name}: the most confident mistakes; true class → predicted class, and confidence",
            ),
            f"The {len(numbers)} most confident of {len(wrong)} wrong predictions.",
        )
