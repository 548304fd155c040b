"""Random colours along the principal components of those of ImageNet."""

import numpy as np
import torch
from scipy import stats
from support.augmenting import applied, only, pictures

from resnet_lab.data.images import Normalisation

# Rows are red, green and blue, columns the components, as fb.resnet.torch lists them.
VECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
VALUES = np.array([0.2175, 0.0188, 0.0045])


def test_colours_have_the_variances_of_the_components() -> None:
    [added_N3] = only("lighting").draw(np.random.default_rng(0), 50_000)
    along_N3 = added_N3.double().numpy() @ np.linalg.inv(VECTORS).T / (0.1 * VALUES)
    assert all(stats.kstest(one, stats.norm.cdf).pvalue > 1e-3 for one in along_N3.T)
    np.testing.assert_allclose(np.corrcoef(along_N3.T), np.eye(3), atol=0.02)


def test_the_same_colour_is_added_to_each_pixel() -> None:
    lighting, images = only("lighting", normalise=Normalisation((0.1, 0.2, 0.3), (0.5, 0.25, 2.0))), pictures(6)
    [added_B3] = lighting.draw(np.random.default_rng(0), 6)
    changed, _ = applied(lighting, lighting.normalise(images))
    found = lighting.normalise.to_shares(changed) - images / 255
    torch.testing.assert_close(found, added_B3[:, :, None, None].expand_as(found), rtol=0, atol=1e-5)


def test_grey_images_get_its_brightness() -> None:
    grey = only("lighting", "data.channels=1", "data=fake", normalise=Normalisation((0.5,), (0.5,)))
    [added_B3] = grey.draw(np.random.default_rng(0), 4)
    changed, _ = applied(grey, torch.zeros(4, 1, 2, 2))
    luma = added_B3 @ torch.tensor([0.299, 0.587, 0.114])
    torch.testing.assert_close(changed / 2, luma[:, None, None, None].expand_as(changed), rtol=0, atol=1e-6)
