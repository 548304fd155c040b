"""Parts of the page for autoencoders: reconstructions, and what they keep of small scales."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from resnet_lab.inspect.autoencoding import as_pictures, inputs, originals, reconstructed
from resnet_lab.inspect.context import NUM_CHOSEN, InspectContext
from resnet_lab.inspect.figures import Shown, spectrum_figure
from resnet_lab.inspect.inversion import psnr, squared_errors
from resnet_lab.inspect.mosaic import rows_of
from resnet_lab.inspect.spectrum import spectra
from resnet_lab.model.resnet import ResNetV2

FARTHEST = 0.995  # quantile of the differences that the colour scale ends at


def reconstruction_figure(
    original_BCHW: np.ndarray,
    given_BCHW: np.ndarray,
    found: Mapping[str, np.ndarray],
    names: Sequence[str],
    title: str,
) -> Figure:
    """Draw images, their reconstructions by one or several networks, and the differences, all with pixels in 0…1.

    What the networks were given has a row of its own if it differs from the images.
    """
    rows, labels = [as_pictures(original_BCHW)], ["original"]
    captions: list[Sequence[str]] = [names]
    styles = [{"cmap": "gray", "vmin": 0, "vmax": 1}]
    if not np.array_equal(given_BCHW, original_BCHW):
        rows, labels, captions = [*rows, as_pictures(given_BCHW)], [*labels, "corrupted"], [*captions, []]
        styles *= 2
    differences = {label: (own_BCHW - original_BCHW).mean(axis=1) for label, own_BCHW in found.items()}
    most = max(float(np.quantile(np.abs([*differences.values()]), FARTHEST)), 1e-6)
    for label, own_BCHW in found.items():
        rows += [as_pictures(own_BCHW), differences[label]]
        labels += [f"{label}\nreconstruction" if len(found) > 1 else "reconstruction", "difference"]
        captions += [quality(own_BCHW, original_BCHW), []]
        styles += [styles[0], {"cmap": "RdBu_r", "vmin": -most, "vmax": most}]
    return rows_of(rows, labels, captions, title, styles)


def quality(found_BCHW: np.ndarray, original_BCHW: np.ndarray) -> list[str]:
    """Return in words how near images or series are to the originals: by PSNR, or by mean squared error."""
    if original_BCHW.ndim == 4:
        return [f"{ratio:.1f} dB" for ratio in psnr(found_BCHW, original_BCHW)]
    return [f"MSE {error:.2g}" for error in squared_errors(found_BCHW, original_BCHW)]


def show_reconstructions(context: InspectContext) -> Iterator[Shown]:
    """Reconstructions."""
    task, is_images = context.task, context.config.data.dims == 2
    images, given = originals(task, context.chosen), inputs(task, context.chosen)
    found = {label: reconstructed(net, task, given) for label, net in _networks(context)}
    title = f"{context.name}: reconstructions of {context.part} images"
    yield Shown(
        "reconstructions",
        reconstruction_figure(images, originals(task, given), found, context.chosen_names, title),
        "The number is the PSNR. In the differences, red is too bright and blue too dark; they share one colour scale."
        if is_images
        else "The number is the mean squared error. In the differences, red is too high and blue too low. They "
        "share one vertical scale, all other rows another.",
    )
    images, given = originals(task, context.images), inputs(task, context.images)
    own = reconstructed(context.net, task, given)
    worst = np.argsort(psnr(own, images), kind="stable")[:NUM_CHOSEN]
    names = [f"#{n}: {task.words(context.labels[n], context.classes)}" for n in worst]
    title = f"{context.name}: the worst reconstructions of {len(images):,} {context.part} images"
    yield Shown(
        "worst-reconstructions",
        reconstruction_figure(images[worst], originals(task, given[worst]), {context.name: own[worst]}, names, title),
        f"The images with the lowest PSNR; its median over all images is {np.median(psnr(own, images)):.1f} dB."
        if is_images
        else f"Those with the largest error; the median over all is {np.median(squared_errors(own, images)):.2g}.",
    )


def show_spectrum(context: InspectContext) -> Iterator[Shown]:
    """Small scales: the power spectrum of reconstructions."""
    images, given = originals(context.task, context.images), inputs(context.task, context.images)
    found = {label: spectra(images, reconstructed(net, context.task, given)) for label, net in _networks(context)}
    yield Shown(
        "spectrum",
        spectrum_figure(found, f"{context.name}: power of {len(images):,} {context.part} images by spatial frequency"),
        "Averaged over images, channels and directions, without the mean; a wavelength of 2 pixels is at the right. "
        "Middle: below 0 dB, reconstructions have less detail than originals at this scale; the diamond is where half "
        "of the power is lost. Right: at 1, the difference is as large as if the detail were left out. The dotted part "
        "of it is detail that no multiple of the original explains; the rest is contrast that is lost.",
    )


def _networks(context: InspectContext) -> tuple[tuple[str, ResNetV2], ...]:
    return ((context.name, context.net), *context.compared)
