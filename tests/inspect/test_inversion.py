import numpy as np
import pytest
import torch
from support.scene import PLAIN_BOUNDS, Run, build, some_images

from resnet_lab.inspect.inversion import error_by_frequency, invert, psnr
from resnet_lab.inspect.pixel_range import PixelRange
from resnet_lab.inspect.replica import stages


@pytest.mark.parametrize("channels", [1, 3])
def test_an_invertible_first_stage_gives_the_image_back(channels: int):
    net = build(f"data.channels={channels}", "model.stem.filters=32")
    images = some_images(net)[0].clamp(-2, 2)
    pixel_range = PixelRange(PLAIN_BOUNDS.low.expand(channels, 1, 1), PLAIN_BOUNDS.high.expand(channels, 1, 1))
    found = invert(net, "stem", images, pixel_range)
    pixels = pixel_range.pixels(torch.from_numpy(found)).numpy()
    assert psnr(pixels, pixel_range.pixels(images).numpy()).min() > 40


@pytest.mark.slow
def test_less_is_known_the_deeper_one_looks(trained: Run):
    images = trained.images[:12]
    names = [*stages(trained.net), "features"]
    found = [invert(trained.net, name, images, trained.pixel_range) for name in names]
    quality = [psnr(image, images.numpy()).mean() for image in found]
    assert quality[0] > quality[1] > quality[2]
    assert quality[-1] < quality[1] - 10


def test_what_is_found_has_the_same_tensor(trained: Run):
    images = trained.images[:4]
    found = invert(trained.net, "stacks.1", images, trained.pixel_range)
    wanted = trained.net.intermediates(images)["stacks.1"]
    reached = trained.net.intermediates(torch.from_numpy(found))["stacks.1"]
    distance = (reached - wanted).square().sum(dim=(1, 2, 3)) / wanted.square().sum(dim=(1, 2, 3))
    assert distance.max() < 0.05  # where the grey image that it began with has far more
    grey = trained.net.intermediates(torch.zeros_like(images))["stacks.1"]
    assert ((grey - wanted).square().sum() / wanted.square().sum()) > 0.3


def test_error_by_frequency_of_a_picture_without_its_small_scales():
    images = np.random.default_rng(0).normal(size=(4, 2, 32, 32))
    spectrum = np.fft.fft2(images)
    radius = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32))
    blurred = np.fft.ifft2(np.where(radius < 0.25, spectrum, 0)).real
    frequency, error = error_by_frequency(blurred, images)
    assert frequency[0] == pytest.approx(1 / 32)
    assert frequency[-1] == pytest.approx(0.5)
    np.testing.assert_allclose(error[frequency < 0.23], 0, atol=1e-12)
    np.testing.assert_allclose(error[frequency > 0.27], 1)


def test_error_of_the_mean_colour_is_one_at_all_frequencies():
    images = np.random.default_rng(0).normal(size=(3, 1, 9, 12))
    _, error = error_by_frequency(np.zeros_like(images), images)
    np.testing.assert_allclose(error, 1)


def test_psnr():
    assert psnr(np.full((1, 1, 2, 2), 0.1), np.zeros((1, 1, 2, 2))) == pytest.approx(20)
