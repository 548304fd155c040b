"""What the command shows: every part takes a subject and gives figures with captions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure

from resnet_lab.choices import Shortcut
from resnet_lab.inspect.figures import (
    LEAST_ERROR,
    confusion_figure,
    flow_figure,
    frequency_figure,
    histogram_figure,
    reliability_figure,
)
from resnet_lab.inspect.filters import first_filters, weight_histograms
from resnet_lab.inspect.flow import flow
from resnet_lab.inspect.inversion import INVERSION_STEPS, error_by_frequency, invert, psnr
from resnet_lab.inspect.maps import by_strength, feature_maps, most_excited, reactions
from resnet_lab.inspect.mistakes import mistakes
from resnet_lab.inspect.mosaic import drawable, rows_of, sheet
from resnet_lab.inspect.patterns import PATTERN_STEPS, Search, maximise
from resnet_lab.inspect.saliency import integrated_gradients, occlusion
from resnet_lab.inspect.subject import NUM_CHOSEN, Subject
from resnet_lab.inspect.twin import INNERMOST, layer_names, stages
from resnet_lab.model.complexity import complexity

FLOW_IMAGES = 64
MOST_MAPS = 128
MOST_MISTAKES = 16
BUDGET, MIN_STEPS = 600_000_000_000, 50  # MACs for an optimisation, half a minute on two cores; steps whatever it takes


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure, the name of its file, and what it says."""

    name: str
    figure: Figure
    caption: str


def show_flow(subject: Subject) -> Iterator[Shown]:
    """Gradient flow."""
    images, labels = subject.images[:FLOW_IMAGES], subject.labels[:FLOW_IMAGES]
    nets = {"trained": subject.net, "initialised": subject.untrained()}
    if subject.config.model.shortcut is not Shortcut.none or subject.config.model.stack_shortcut:
        nets["plain (no shortcuts), initialised"] = subject.untrained(plain=True)
    nets |= dict(subject.beside)
    flows = {label: flow(net, images, labels) for label, net in nets.items()}
    yield Shown(
        "flow",
        flow_figure(flows, f"{subject.name}: what flows through {len(flows['trained'].names)} parts"),
        f"One mini-batch of {len(images)} {subject.part} images, forth and back, with BatchNorm as in training; a dot "
        "for each part: stem, units, head. Where gradients vanish, the first two panels fall towards the stem.",
    )


def show_filters(subject: Subject) -> Iterator[Shown]:
    """First-layer filters and weights."""
    filters = first_filters(subject.net)
    count, channels = filters.shape[:2]
    tiles = filters.reshape(-1, *filters.shape[2:])
    captions = [str(f) if channels == 1 else f"{f}.{c}" for f in range(count) for c in range(channels)]
    title = f"{subject.name}: the {count} filters of the first layer"
    if channels > 1:
        title += f", for each of the {channels} channels"
    yield Shown(
        "filters",
        sheet(tiles, captions, title, "weight", "RdBu_r", symmetric=True),
        "The first convolution's kernels, by number (and channel); red weights are positive.",
    )
    yield Shown(
        "weights",
        histogram_figure(weight_histograms(subject.net), f"{subject.name}: weights by stack"),
        "Weights of all convolutions and linear layers, without BatchNorm's.",
    )


def show_maps(subject: Subject) -> Iterator[Shown]:
    """Feature maps."""
    count = len(subject.chosen) if subject.choices.images else 1
    for i, image in enumerate(subject.chosen[:count]):
        for name in subject.choices.layers or stages(subject.net):
            maps = feature_maps(subject.net, image[None], name)[0]
            order = np.array(subject.choices.maps or by_strength(maps)[:MOST_MAPS])
            size = f"{maps.shape[1]}×{maps.shape[2]}"
            title = (
                f"{subject.name}: {len(order)} of {len(maps)} maps of {name}, {size}; image {subject.chosen_names[i]}"
            )
            yield Shown(
                f"maps-{i}-{name}",
                sheet(maps[order], [str(m) for m in order], title, "activation", "viridis", symmetric=False),
                "The strongest maps first (root mean square); above each its number. All share one scale."
                + (" Behind the last activation: what the head averages." if name == "innermost" else ""),
            )


def show_patterns(subject: Subject) -> Iterator[Shown]:
    """Patterns that maps react to."""
    contrast = float(subject.images.square().mean(dim=(1, 2, 3)).sqrt().max())
    search = Search(
        steps=_steps(subject, PATTERN_STEPS, NUM_CHOSEN * 3),
        contrast=contrast,
        jitter=max(1, min(subject.image_shape[1:]) // 16),
        seed=subject.choices.seed,
    )
    for name in subject.choices.layers or [*stages(subject.net)[1:-2], INNERMOST]:
        found = reactions(subject.net, torch.cat([subject.images, subject.chosen]), name)
        maps, reasons = _chosen_maps(subject, found)
        found = found[: len(subject.images)]
        patterns = maximise(subject.net, name, maps, subject.image_shape, subject.bounds, search, track=subject.track)
        strongest = found[:, maps].argmax(axis=0)
        real = subject.pictures(subject.images[torch.from_numpy(strongest)])
        made = [drawable(picture) for picture in subject.pictures(patterns.images)]
        above = [f"map {m}{why}\n{value:.3g}" for m, why, value in zip(maps, reasons, patterns.reached, strict=True)]
        pairs = zip(subject.labels[torch.from_numpy(strongest)].tolist(), found[strongest, maps], strict=True)
        below = [f"{subject.classes[label]}\n{value:.3g}" for label, value in pairs]
        yield Shown(
            f"patterns-{name}",
            rows_of(
                [made, [drawable(picture) for picture in real]],
                ["pattern", f"strongest of\n{len(found):,} images"],
                [above, below],
                f"{subject.name}: patterns that maps of {name} react to, with the mean activation",
            ),
            f"Above: found by gradient ascent from noise, with no more contrast than the {subject.part} images have. "
            f"Below: the {subject.part} image that excites the same map most.",
        )


def _chosen_maps(subject: Subject, found_NM: np.ndarray) -> tuple[list[int], list[str]]:
    """The maps that were asked for; else those that stand out for a class or an image; and by which."""
    if asked := list(subject.choices.maps):
        return asked, [""] * len(asked)
    each = max(1, NUM_CHOSEN // len(subject.excited_by))
    pairs = {
        int(m): f" ({why})" for why, rows in subject.excited_by for m in most_excited(found_NM, rows, each)
    }  # a map that stands out twice is shown once
    return list(pairs), list(pairs.values())


def _steps(subject: Subject, most: int, num_pictures: int) -> int:
    """Steps of an optimisation: fewer than `most` where the network is so large that they would take minutes."""
    macs = 2 * complexity(subject.net, subject.image_shape).macs * num_pictures  # forth, and back to the image
    return max(MIN_STEPS, min(most, BUDGET // max(macs, 1)))


def show_inversion(subject: Subject) -> Iterator[Shown]:
    """What is still known of the image."""
    names = list(subject.choices.layers) or [*stages(subject.net)[:-1], "features"]
    images = subject.chosen
    steps = _steps(subject, INVERSION_STEPS, len(images))
    originals = subject.pictures(images)
    pixels = subject.bounds.pixels(images).cpu().numpy()
    curves: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for label, net in ((subject.name, subject.net), *subject.beside):
        rows, labels = [[drawable(picture) for picture in originals]], ["image"]
        curves[label] = {}
        for name in [name for name in names if name in {*layer_names(net), *stages(net), "features"}]:
            found = invert(net, name, images, subject.bounds, steps, subject.track).images
            own = subject.bounds.pixels(torch.as_tensor(found, device=images.device)).cpu().numpy()
            curves[label][name] = error_by_frequency(own, pixels)
            rows.append([drawable(picture) for picture in subject.pictures(found)])
            labels.append(f"{name}\n{psnr(own, pixels).mean():.1f} dB")
        captions = [list(subject.chosen_names), *[[] for _ in names]]
        yield Shown(
            "inversion" if net is subject.net else f"inversion-{len(curves)}",
            rows_of(rows, labels, captions, f"{label}: images found from the tensor at some depth (mean PSNR)"),
            "Looked for from the mean colour on, until the network's tensor at that depth is that of the image.",
        )
    yield Shown(
        "inversion-frequency",
        frequency_figure(curves, "error of the inverted images by spatial frequency"),
        "0 is a perfect image, 1 what the mean colour alone would give; above 1 a scale is not lost but made up. "
        f"Errors below {LEAST_ERROR:g} are drawn as that.",
    )


def show_saliency(subject: Subject) -> Iterator[Shown]:
    """Which pixels decide."""
    gradients = integrated_gradients(subject.net, subject.chosen, subject.chosen_labels).sum(axis=1)
    hidden = occlusion(subject.net, subject.chosen, subject.chosen_labels)
    with torch.no_grad():
        confidence, predicted = subject.net(subject.chosen).softmax(dim=1).max(dim=1)
    captions = [
        f"{name}\n→ {subject.classes[p]} {100 * c:.0f} %"
        for name, p, c in zip(subject.chosen_names, predicted.tolist(), confidence.tolist(), strict=True)
    ]
    styles = [{"cmap": "gray", "vmin": 0, "vmax": 1}]
    for values in (gradients, hidden):
        most = float(np.quantile(np.abs(values), 0.995)) or 1.0
        styles.append({"cmap": "RdBu_r", "vmin": -most, "vmax": most})
    pictures = [drawable(picture) for picture in subject.pictures(subject.chosen)]
    yield Shown(
        "saliency",
        rows_of(
            [pictures, list(gradients), list(hidden)],
            ["image", "integrated\ngradients", "occlusion"],
            [captions, [], []],
            f"{subject.name}: pixels that speak for (red) and against (blue) the class above, in parts of its logit",
            styles,
        ),
        "Integrated gradients: what each pixel adds to the logit of the class, from the mean colour on. Occlusion: how "
        "far the logit falls when a square around the pixel has the mean colour. Each row has one scale.",
    )


def show_mistakes(subject: Subject) -> Iterator[Shown]:
    """What goes wrong."""
    found = mistakes(subject.net, subject.images, subject.labels)
    wrong, count = found.surest, len(subject.images)
    what = f"{subject.name}: {len(wrong)} of {count:,} {subject.part} images wrong, {100 * len(wrong) / count:.2f} %"
    yield Shown(
        "confusion", confusion_figure(found, subject.classes, what), "Counts; the diagonal is what was recognised."
    )
    yield Shown(
        "reliability",
        reliability_figure(found, subject.classes, what),
        "A calibrated network is right as often as it is confident; ECE is the mean distance from the diagonal, "
        "weighted by the images at each confidence (15 bins, those without images left out).",
    )
    if len(wrong):
        numbers = wrong[:MOST_MISTAKES]
        pictures = [drawable(picture) for picture in subject.pictures(subject.images[torch.from_numpy(numbers)])]
        names = subject.classes
        captions = [
            f"{names[found.labels[n]]}\n→ {names[found.predicted[n]]}\n{100 * found.confidence[n]:.0f} %"
            for n in numbers
        ]
        halves = [slice(0, 8), slice(8, 16)][: 1 + (len(numbers) > 8)]
        yield Shown(
            "surest-mistakes",
            rows_of(
                [pictures[half] for half in halves],
                [f"{half.start + 1}–{min(half.stop, len(numbers))}" for half in halves],
                [captions[half] for half in halves],
                f"{subject.name}: the surest mistakes; true class → taken for, and confidence",
            ),
            f"The {len(numbers)} most confident of {len(wrong)} wrong answers.",
        )


PARTS: dict[str, Callable[[Subject], Iterator[Shown]]] = {
    "flow": show_flow,
    "filters": show_filters,
    "maps": show_maps,
    "patterns": show_patterns,
    "inversion": show_inversion,
    "saliency": show_saliency,
    "mistakes": show_mistakes,
}
