import numpy as np
from support.scene import Run, build, some_images

from resnet_lab.inspect.maps import by_strength, feature_maps, most_excited, reactions


def test_maps_are_those_of_the_network():
    net = build()
    images, _ = some_images(net)
    maps = feature_maps(net, images, "stacks.1")
    np.testing.assert_array_equal(maps, net.intermediates(images)["stacks.1"].detach().numpy())
    np.testing.assert_allclose(reactions(net, images, "stacks.1"), maps.mean(axis=(2, 3)), atol=1e-6)


def test_order_of_strength_is_that_of_the_root_mean_square():
    signs = np.random.default_rng(0).choice([-1, 1], size=(9, 4, 4))
    maps = signs * np.array([3, 1, 4, 0, 5, 9, 2, 6, 8])[:, None, None]
    assert by_strength(maps)[:3].tolist() == [5, 8, 7]
    assert by_strength(maps)[-1] == 3
    assert by_strength(-maps).tolist() == by_strength(maps).tolist()


def test_excited_maps_are_those_that_a_class_excites_and_others_do_not():
    noise = np.random.default_rng(0).normal(size=(100, 6))
    noise[:, 2] += 50  # always strong
    noise[:10, 4] += 3  # strong for the first ten images
    noise[:, 5] = 7  # always the same
    assert most_excited(noise, np.arange(10), 1).tolist() == [4]
    assert most_excited(noise, np.arange(10), 6)[-1] == 5


def test_maps_of_a_class_tell_it_from_the_others(trained: Run):
    found = reactions(trained.net, trained.images, "innermost")
    for label in range(10):
        own = trained.labels.numpy() == label
        (strongest,) = most_excited(found, own, 1)
        assert found[own, strongest].mean() > 1.5 * found[~own, strongest].mean()
