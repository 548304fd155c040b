"""The parts of the page, in order; each takes the context and yields figures with captions."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from resnet_lab.config.enums import Labels
from resnet_lab.inspect.context import InspectContext, without_shortcuts
from resnet_lab.inspect.figures import Shown, confusion_figure, flow_figure, histogram_figure, reliability_figure
from resnet_lab.inspect.filters import filters_figure, weight_histograms
from resnet_lab.inspect.flow import flow
from resnet_lab.inspect.maps import by_strength, feature_maps
from resnet_lab.inspect.mistakes import mistakes
from resnet_lab.inspect.mosaic import rows_of, sheet
from resnet_lab.inspect.replica import stages
from resnet_lab.inspect.saliency import class_activation, evidence_styles, integrated_gradients, occlusion
from resnet_lab.inspect.show_attributes import show_attribute_mistakes, show_attribute_saliency
from resnet_lab.inspect.show_decoded import show_reconstructions, show_spectrum
from resnet_lab.inspect.show_images import show_inversion, show_patterns
from resnet_lab.inspect.show_latent import show_latent
from resnet_lab.inspect.show_samples import show_samples
from resnet_lab.text import printable

FLOW_IMAGES = 64
MOST_MAPS = 128
MOST_MISTAKES = 16


def show_flow(context: InspectContext) -> Iterator[Shown]:
    """Gradient flow."""
    images, labels = context.images[:FLOW_IMAGES], context.labels[:FLOW_IMAGES]
    nets = {"trained": context.net, "initialised": context.untrained()}
    if without_shortcuts(context.config.model):
        nets["plain (no shortcuts), initialised"] = context.untrained(plain=True)
    nets |= dict(context.compared)
    flows = {label: flow(net, context.task, images, labels) for label, net in nets.items()}
    yield Shown(
        "flow",
        flow_figure(flows, f"{context.name}: signal flow through {len(flows['trained'].names)} parts"),
        f"One mini-batch of {len(images)} {context.part} images, forward and backward, normalised as in training; "
        "one dot per part: stem, units, head. If gradients vanish, the first two panels fall towards the stem.",
    )


def show_filters(context: InspectContext) -> Iterator[Shown]:
    """First-layer filters and weights."""
    signs = "red weights are positive" if context.config.data.dims == 2 else "the grey line is 0"
    yield Shown(
        "filters",
        filters_figure(context.net, f"{context.name}: the filters of the first layer"),
        f"The first convolution's kernels, by number (and channel); {signs}.",
    )
    yield Shown(
        "weights",
        histogram_figure(weight_histograms(context.net), f"{context.name}: weights by stack"),
        "Weights of all convolutions and linear layers, without those of norms.",
    )


def show_maps(context: InspectContext) -> Iterator[Shown]:
    """Feature maps."""
    count = len(context.chosen) if context.choices.images else 1
    for i, image in enumerate(context.chosen[:count]):
        for name in context.choices.layers or stages(context.net):
            maps = feature_maps(context.net, image[None], name)[0]
            order = np.array(context.choices.maps or by_strength(maps)[:MOST_MAPS])
            size = "×".join(map(str, maps.shape[1:]))
            title = (
                f"{context.name}: {len(order)} of {len(maps)} maps of {name}, {size}; "
                f"{context.config.data.thing} {context.chosen_names[i]}"
            )
            yield Shown(
                f"maps-{i}-{name}",
                sheet(maps[order], [str(m) for m in order], title, "activation", "viridis", symmetric=False),
                "The strongest maps (by root mean square) first, each below its number. All share one colour scale."
                + (" Taken after the last activation." if name == "innermost" else ""),
            )


def show_saliency(context: InspectContext) -> Iterator[Shown]:
    """Saliency: pixels that matter."""
    if context.task.info.labels is Labels.attributes:
        yield from show_attribute_saliency(context)
        return
    gradients = integrated_gradients(context.net, context.chosen, context.chosen_labels).sum(axis=1)
    hidden = occlusion(context.net, context.chosen, context.chosen_labels)
    rows, labels, over_time = [gradients, hidden], ["integrated\ngradients", "occlusion"], ""
    activation = class_activation(context.net, context.chosen, context.chosen_labels)
    if context.config.data.dims == 1 and activation is not None:
        rows, labels = [activation, *rows], ["class\nactivation", *labels]
        over_time = "Class activation: what each moment of the last maps adds to the class logit. "
    with torch.no_grad():
        confidence, predicted = context.net(context.chosen).softmax(dim=1).max(dim=1)
    captions = [
        f"{name}\n→ {context.classes[p]} {100 * c:.0f} %"
        for name, p, c in zip(context.chosen_names, predicted.tolist(), confidence.tolist(), strict=True)
    ]
    yield Shown(
        "saliency",
        rows_of(
            [context.pictures(context.chosen), *rows],
            [context.config.data.thing, *labels],
            [captions, *[[] for _ in rows]],
            f"{context.name}: evidence for (red) and against (blue) the class above, as contributions to its logit",
            evidence_styles(*rows),
        ),
        f"{over_time}Integrated gradients: what each pixel adds to the class logit, compared with the mean colour. "
        "Occlusion: how far the logit falls when a square around the pixel is set to the mean colour. Each row has one "
        "colour scale.",
    )


def show_mistakes(context: InspectContext) -> Iterator[Shown]:
    """Mistakes and calibration."""
    if context.task.info.labels is Labels.attributes:
        yield from show_attribute_mistakes(context)
        return
    found = mistakes(context.net, context.images, context.labels)
    wrong, count = found.most_confident, len(context.images)
    of_all = f"{len(wrong)} of {count:,} {context.part} {context.config.data.things}"
    what = f"{context.name}: {of_all} wrong, {100 * len(wrong) / count:.2f} %"
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
        pictures = context.pictures(context.images[torch.from_numpy(numbers)])
        names = context.classes
        captions = [
            f"{names[found.labels[n]]}\n→ {names[found.predicted[n]]}\n{100 * found.confidence[n]:.0f} %"
            for n in numbers
        ]
        files = f" Files: {', '.join(printable(context.files[n]) for n in numbers)}." if context.files else ""
        halves = [slice(0, 8), slice(8, 16)][: 1 + (len(numbers) > 8)]
        yield Shown(
            "confident-mistakes",
            rows_of(
                [pictures[half] for half in halves],
                [f"{half.start + 1}–{min(half.stop, len(numbers))}" for half in halves],
                [captions[half] for half in halves],
                f"{context.name}: the most confident mistakes; true class → predicted class, and confidence",
            ),
            f"The {len(numbers)} most confident of {len(wrong)} wrong predictions.{files}",
        )


# Named as in `config.tasks.FIGURES`.
PARTS: dict[str, Callable[[InspectContext], Iterator[Shown]]] = {
    "flow": show_flow,
    "filters": show_filters,
    "maps": show_maps,
    "patterns": show_patterns,
    "inversion": show_inversion,
    "saliency": show_saliency,
    "mistakes": show_mistakes,
    "reconstructions": show_reconstructions,
    "spectrum": show_spectrum,
    "latent": show_latent,
    "samples": show_samples,
}
