"""A part of the page for autoencoders: images decoded from latent vectors that no image was encoded to."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from resnet_lab.inspect import sampling
from resnet_lab.inspect.autoencoding import as_pictures, decoded, encoded
from resnet_lab.inspect.context import NUM_CHOSEN, InspectContext
from resnet_lab.inspect.figures import Shown
from resnet_lab.inspect.mosaic import rows_of
from resnet_lab.inspect.normal import Normal, Numbers
from resnet_lab.inspect.show_latent import few
from resnet_lab.tasks.attributes import by_attribute

NUM_DRAWN = 8  # images of each kind of sample
TIMES = (1, 2, 4)  # Mahalanobis radii, in those of the ellipsoid of 95 %
NUM_AXES, AXIS_STEPS = 6, tuple(range(-3, 4))  # in standard deviations
NUM_LINES, NUM_BETWEEN = 4, 8
DIRECTION_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # in differences of the means

Rows = Mapping[str, Numbers]  # latent vectors (S, D) by the label of their row


def show_samples(context: InspectContext) -> Iterator[Shown]:
    """Images decoded from other latent vectors."""
    latent = encoded(context.net, context.images)
    normal = Normal.of(few(latent))

    def grid(name: str, rows: Rows, captions: Sequence[str], title: str, explained: str) -> Shown:
        pictures = [as_pictures(decoded(context.net, context.task, row, latent.shape[1:])) for row in rows.values()]
        above = [captions, *([[]] * (len(rows) - 1))]
        return Shown(name, rows_of(pictures, list(rows), above, f"{context.name}: {title}"), explained)

    yield grid(
        "samples",
        drawn_rows(normal, context.choices.seed),
        [],
        "images decoded from random latent vectors",
        "From the normal distribution fitted to the latent vectors of images, within the ellipsoid that holds 95 % of "
        "it; the same directions on its border and farther out; and from the standard normal distribution, the prior "
        "of a variational autoencoder.",
    )
    yield grid(
        "samples-axes",
        axis_rows(normal),
        [f"{step:+d} std".replace("-", "−") if step else "mean" for step in AXIS_STEPS],
        "images decoded along the principal axes of the latent vectors",
        "Each row leaves the mean along one axis, by up to 3 standard deviations. Left is its share of the variance.",
    )
    chosen = encoded(context.net, context.chosen).reshape(len(context.chosen), -1)
    if lines := line_rows(chosen, context.chosen_names):
        yield grid(
            "samples-between",
            lines,
            [f"{100 * i / (NUM_BETWEEN - 1):.0f} %" for i in range(NUM_BETWEEN)],
            "images decoded on the straight line between the latent vectors of two images",
            "At both ends are the reconstructions of the images themselves.",
        )
    if directions := direction_rows(latent.reshape(len(latent), -1), _groups(context)):
        yield grid(
            "samples-directions",
            directions,
            [f"{step:g}" for step in DIRECTION_STEPS],
            "images moved in the direction of a class or attribute",
            "The direction is the mean latent vector of the images that have it, minus that of the images that do not; "
            "it is added to the first image that does not, as often as the number says.",
        )


def drawn_rows(normal: Normal, seed: int) -> Rows:
    """Draw latent vectors inside the normal distribution, at and beyond its border, and from the prior."""
    rows = {f"inside {100 * sampling.SHARE:.0f} %": sampling.inside(normal, NUM_DRAWN, seed)}
    rows |= {
        f"{times} × as far" if times > 1 else "on the border": sampling.outside(normal, NUM_DRAWN, seed, times)
        for times in TIMES
    }
    return rows | {"standard\nnormal": sampling.standard(NUM_DRAWN, len(normal.mean), seed)}


def axis_rows(normal: Normal) -> Rows:
    """Step along each of the first principal axes."""
    shares = 100 * normal.variance_shares
    return {
        f"axis {axis + 1}\n{shares[axis]:.1f} %": sampling.along_axis(normal, axis, AXIS_STEPS)
        for axis in range(min(NUM_AXES, len(shares)))
    }


def line_rows(latent_BD: np.ndarray, names: Sequence[str]) -> Rows:
    """Go from the first image to the second, from the third to the fourth, …"""
    return {
        f"{names[i]}\n→ {names[i + 1]}": sampling.between(latent_BD[i], latent_BD[i + 1], NUM_BETWEEN)
        for i in range(0, min(len(names) - 1, 2 * NUM_LINES), 2)
    }


def direction_rows(latent_ND: np.ndarray, groups: Mapping[str, np.ndarray]) -> Rows:
    """Move the first image outside each group towards it."""
    rows: dict[str, Numbers] = {}
    for name, members in groups.items():
        has_N = np.isin(np.arange(len(latent_ND)), members)
        if has_N.any() and not has_N.all() and len(rows) < NUM_CHOSEN:
            start_D = latent_ND[has_N.argmin()]
            rows[f"→ {name}"] = sampling.along_direction(start_D, sampling.direction(latent_ND, has_N), DIRECTION_STEPS)
    return rows


def _groups(context: InspectContext) -> dict[str, np.ndarray]:
    """Return the indices of the images of each class, or with each attribute."""
    labels = context.labels.cpu().numpy()
    if labels.ndim == 2 and labels.shape[1] == len(context.classes):
        return by_attribute(labels, context.classes)
    return context.task.by_class(labels, context.classes)
