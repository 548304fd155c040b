from collections.abc import Callable

import numpy as np
import torch
from support.scene import Run, some_images

from resnet_lab.inspect.saliency import integrated_gradients, occlusion
from resnet_lab.model.resnet import ResNetV2


def test_integrated_gradients_are_complete(trained: Run):
    images, labels = trained.images[:20], trained.labels[:20]
    found = integrated_gradients(trained.net, images, labels)
    with torch.no_grad():
        gained = trained.net(images) - trained.net(torch.zeros_like(images))
    expected = gained.gather(1, labels[:, None])[:, 0].numpy()
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), expected, atol=0.05 * np.abs(expected).max())


def test_occlusion_equals_a_naive_computation(trained: Run):
    image, label = trained.images[:1], int(trained.labels[0])
    found = occlusion(trained.net, image, trained.labels[:1])
    total, count = np.zeros((8, 8)), np.zeros((8, 8))
    with torch.no_grad():
        for top in range(7):
            for left in range(7):
                hidden = image.clone()
                hidden[:, :, top : top + 2, left : left + 2] = 0
                total[top : top + 2, left : left + 2] += float((trained.net(image) - trained.net(hidden))[0, label])
                count[top : top + 2, left : left + 2] += 1
    np.testing.assert_allclose(found[0], total / count, atol=1e-4)


def test_the_network_is_as_before(untouched: Callable[..., ResNetV2]):
    net = untouched("data.channels=2")
    images, labels = some_images(net)
    assert integrated_gradients(net, images, labels).shape == (6, 2, 16, 16)
    assert occlusion(net, images, labels).shape == (6, 16, 16)
