"""Data sets with several labels for each image, made of real images: attributes of digits, and pairs of clothes."""

import numpy as np
import numpy.typing as npt

from resnet_lab.config.data import DataConfig
from resnet_lab.data.sources import Images, Source, digits, idx

# The digits that have each attribute: of the binary digits, from the largest, and two others.
DIGITS_WITH = {
    "eights": (8, 9),
    "fours": (4, 5, 6, 7),
    "twos": (2, 3, 6, 7),
    "ones": (1, 3, 5, 7, 9),
    "prime": (2, 3, 5, 7),
    "loop": (0, 6, 8, 9),
}
FOR_TRAINING, FOR_TEST = 0, 1  # seeds of the pairs


def digit_bits(config: DataConfig) -> Source:
    """Return scikit-learn's digits, split as for `digits`, with the attributes of DIGITS_WITH."""
    source = digits(config)
    has_attribute = np.array([[digit in having for having in DIGITS_WITH.values()] for digit in range(10)], np.uint8)
    train, test = (Images(part.pixels, has_attribute[part.labels]) for part in (source.train, source.test))
    return Source(train, test, tuple(DIGITS_WITH))


def fashion_pairs(config: DataConfig) -> Source:
    """Return pairs of images of Fashion-MNIST, 28x56, of different classes: two of the ten labels are on.

    Each image of the published training and test part is once on the left, and once on the right.
    """
    clothes = idx(config)
    num_classes = len(clothes.classes)
    train, test = _paired(clothes.train, num_classes, FOR_TRAINING), _paired(clothes.test, num_classes, FOR_TEST)
    return Source(train, test, clothes.classes)


def _paired(images: Images, num_classes: int, seed: int) -> Images:
    partner = partners(images.labels, np.random.default_rng(seed))
    pixels = np.concatenate([images.pixels, images.pixels[partner]], axis=3)
    is_class = np.eye(num_classes, dtype=np.uint8)
    return Images(pixels, is_class[images.labels] | is_class[images.labels[partner]])


def partners(labels: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return for each image another one (N,), of another class; each image is the partner of one.

    A random order is corrected: partners of the same class are exchanged with those of random images, if that helps.
    No class may have more than half of the images.
    """
    found = rng.permutation(len(labels))
    for row in np.flatnonzero(labels[found] == labels):
        while labels[found[row]] == labels[row]:
            other = rng.integers(len(labels))
            if labels[row] not in (labels[other], labels[found[other]]):
                found[[row, other]] = found[[other, row]]
    return found
