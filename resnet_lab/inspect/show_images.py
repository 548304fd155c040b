"""Parts of the page with optimised images: those that activate a map, and those that match a tensor."""

from collections.abc import Iterator

import numpy as np
import torch

from resnet_lab.inspect.context import NUM_CHOSEN, InspectContext
from resnet_lab.inspect.figures import LEAST_ERROR, Shown, frequency_figure
from resnet_lab.inspect.inversion import INVERSION_STEPS, error_by_frequency, invert, psnr
from resnet_lab.inspect.maps import most_excited, reactions
from resnet_lab.inspect.mosaic import rows_of
from resnet_lab.inspect.patterns import PATTERN_STEPS, Search, maximise
from resnet_lab.inspect.replica import INNERMOST, layer_names, stages
from resnet_lab.model.complexity import complexity

BUDGET, MIN_STEPS = 600_000_000_000, 50  # most MACs per optimisation (half a minute on two cores), fewest steps


def show_patterns(context: InspectContext) -> Iterator[Shown]:
    """Patterns that activate maps."""
    search = Search(
        steps=_steps(context, PATTERN_STEPS, NUM_CHOSEN * 3),
        contrast=float(context.images.flatten(1).square().mean(dim=1).sqrt().max()),
        jitter=max(1, min(context.image_shape[1:]) // 16),
        seed=context.choices.seed,
    )
    for name in context.choices.layers or [*stages(context.net)[1:-2], INNERMOST]:
        found = reactions(context.net, torch.cat([context.images, context.chosen]), name)
        maps, reasons = _chosen_maps(context, found)
        found = found[: len(context.images)]
        patterns = maximise(context.net, name, maps, context.image_shape, context.pixel_range, search, context.track)
        strongest = found[:, maps].argmax(axis=0)
        real = context.pictures(context.images[torch.from_numpy(strongest)])
        made = context.pictures(patterns.images)
        above = [f"map {m}{why}\n{value:.3g}" for m, why, value in zip(maps, reasons, patterns.reached, strict=True)]
        pairs = zip(context.labels[torch.from_numpy(strongest)], found[strongest, maps], strict=True)
        below = [f"{context.task.words(label, context.classes)}\n{value:.3g}" for label, value in pairs]
        yield Shown(
            f"patterns-{name}",
            rows_of(
                [made, real],
                ["pattern", f"strongest of\n{len(found):,} {context.config.data.things}"],
                [above, below],
                f"{context.name}: patterns that activate maps of {name}, with the mean activation",
            ),
            f"Above: found by gradient ascent from noise, with no more contrast than the {context.part} images. "
            f"Below: the {context.part} image that activates the same map most.",
        )


def _chosen_maps(context: InspectContext, found_NM: np.ndarray) -> tuple[list[int], list[str]]:
    """Return the requested maps, or those most specific to a class or image, with the reason for each."""
    if asked := list(context.choices.maps):
        return asked, [""] * len(asked)
    each = max(1, NUM_CHOSEN // len(context.map_selectors))
    pairs = {
        int(m): f" ({why})" for why, rows in context.map_selectors for m in most_excited(found_NM, rows, each)
    }  # a map selected twice is shown once
    return list(pairs), list(pairs.values())


def show_inversion(context: InspectContext) -> Iterator[Shown]:
    """Inversion: what is still known of the image."""
    names = list(context.choices.layers) or [*stages(context.net)[:-1], "features"]
    images = context.chosen
    steps = _steps(context, INVERSION_STEPS, len(images))
    pixels = context.pixel_range.pixels(images).cpu().numpy()
    what = context.config.data.things
    curves: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for label, net in ((context.name, context.net), *context.compared):
        rows, labels = [context.pictures(images)], [context.config.data.thing]
        curves[label] = {}
        for name in [name for name in names if name in {*layer_names(net), *stages(net), "features"}]:
            found = invert(net, name, images, context.pixel_range, steps, context.track)
            own = context.pixel_range.pixels(torch.as_tensor(found, device=images.device)).cpu().numpy()
            curves[label][name] = error_by_frequency(own, pixels)
            rows.append(context.pictures(found))
            labels.append(f"{name}\n{psnr(own, pixels).mean():.1f} dB")
        captions = [list(context.chosen_names), *[[] for _ in names]]
        yield Shown(
            "inversion" if net is context.net else f"inversion-{len(curves)}",
            rows_of(rows, labels, captions, f"{label}: {what} reconstructed from the tensor at some depth (mean PSNR)"),
            "Optimised from the mean colour so that the tensor at that depth matches that of the image.",
        )
    yield Shown(
        "inversion-frequency",
        frequency_figure(curves, f"error of the inverted {context.config.data.things} by frequency"),
        "0 is a perfect image, 1 the error of the mean colour alone; above 1, detail is invented, not lost. "
        f"Errors below {LEAST_ERROR:g} are drawn at that value.",
    )


def _steps(context: InspectContext, most: int, num_pictures: int) -> int:
    """Return the steps of an optimisation: `most`, or fewer to stay within BUDGET, but at least MIN_STEPS."""
    macs = 2 * complexity(context.net, context.image_shape).macs * num_pictures  # forward, and backward to the image
    return max(MIN_STEPS, min(most, BUDGET // max(macs, 1)))
