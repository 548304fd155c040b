"""Attributes and pairs made of real images: every image is used, nothing leaks, and nothing is random."""

from pathlib import Path

import numpy as np
import pytest
from support.composing import config as load_config

from resnet_lab.data.derived import partners
from resnet_lab.data.sources import read

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def test_the_bits_of_a_digit_are_its_attributes():
    digits, bits = read(load_config("data=digits").data), read(load_config("data=digit_bits", "task=attributes").data)
    assert bits.classes == ("eights", "fours", "twos", "ones", "prime", "loop")
    for one, other in ((digits.train, bits.train), (digits.test, bits.test)):
        assert np.array_equal(one.pixels, other.pixels)
        assert np.array_equal(other.labels[:, :4] @ [8, 4, 2, 1], one.labels)
        assert {*one.labels[other.labels[:, 4] == 1]} == {2, 3, 5, 7}
        assert {*one.labels[other.labels[:, 5] == 1]} == {0, 6, 8, 9}
        assert other.labels.dtype == np.uint8


@pytest.mark.parametrize("num_classes", [3, 10])
def test_each_image_gets_one_partner_of_another_class(num_classes: int):
    labels = np.random.default_rng(1).permutation(np.arange(600) % num_classes)
    found = partners(labels, np.random.default_rng(0))
    assert sorted(found) == list(range(600))
    assert (labels[found] != labels).all()
    assert np.array_equal(found, partners(labels, np.random.default_rng(0)))
    together = np.histogram2d(labels, labels[found], bins=num_classes)[0]
    assert (together[~np.eye(num_classes, dtype=bool)] > 0).all()  # all combinations occur


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs the Debian package dataset-fashion-mnist")
def test_pairs_of_clothes():
    pairs = read(load_config("data=fashion_pairs", "task=attributes").data)
    clothes = read(load_config("data=fashion_mnist").data)
    for part, own in ((pairs.train, clothes.train), (pairs.test, clothes.test)):
        assert part.pixels.shape == (len(own), 1, 28, 56)
        left, right = part.pixels[..., :28], part.pixels[..., 28:]
        assert np.array_equal(left, own.pixels)
        assert (part.labels.sum(axis=1) == 2).all()
        assert part.labels[np.arange(len(own)), own.labels].all()
        digests = [sorted(image.tobytes() for image in images) for images in (right, own.pixels)]
        assert digests[0] == digests[1]  # each image is once on the right, of the same part
    assert pairs.classes == clothes.classes
