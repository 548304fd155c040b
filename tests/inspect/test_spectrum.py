import numpy as np
import pytest
from scipy.special import j0

from resnet_lab.inspect.spectrum import Spectra, rings, spectra


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.5, 0.1, shape)


def circular_blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Blurred by convolution with a Gaussian that is built here in the space of pixels, on a torus."""
    height, width = images.shape[2:]
    y, x = (np.minimum(np.arange(n), n - np.arange(n)) for n in (height, width))
    kernel = np.exp(-(y[:, None] ** 2 + x**2) / (2 * sigma**2))
    return np.fft.ifft2(np.fft.fft2(images) * np.fft.fft2(kernel / kernel.sum())).real


@pytest.mark.parametrize("size", [(32, 32), (32, 48), (33, 20)])
def test_white_noise_is_flat_at_its_variance(size: tuple[int, int]):
    images = noise(300, 2, *size)
    found = spectra(images, images)
    assert found.frequency[0] == pytest.approx(1 / min(size))
    assert found.frequency[-1] == pytest.approx((min(size) // 2) / min(size))
    np.testing.assert_allclose(found.original[2:], 0.01, rtol=0.05)
    np.testing.assert_allclose(found.original[:2], 0.01, rtol=0.15)  # some of it is removed with the mean
    np.testing.assert_allclose(found.ratio_db, 0, atol=1e-9)
    assert found.half_power is None


def test_a_sinusoid_has_one_frequency_and_the_window_its_neighbours():
    x = np.arange(64)
    images = np.tile(0.5 + 0.2 * np.sin(2 * np.pi * 10 * x / 64), (1, 1, 64, 1))
    power = spectra(images, images).original
    assert power.argmax() == 9  # the first ring is that of one cycle
    assert power[[8, 10]].max() < 0.5 * power[9]
    assert np.delete(power, [8, 9, 10]).max() < 1e-9 * power[9]


def test_frequencies_of_a_wide_image_are_per_pixel_along_both_axes():
    ring, frequency = rings(16, 64)
    assert ring[0, 8] == 2  # 8 cycles in 64 pixels
    assert ring[2, 0] == 2  # 2 cycles in 16 pixels
    assert frequency[1] == 8 / 64 == 2 / 16
    assert ring[0, 0] == 0


def test_a_blurred_image_has_the_transfer_function_of_the_blur():
    images, sigma = noise(400, 1, 32, 32), 0.9
    found = spectra(images, circular_blur(images, sigma))
    ring, _ = rings(32, 32)
    # exp(-2π²σ²f²), averaged over each ring, within which it falls
    radius = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32))
    transfer = np.exp(-2 * np.pi**2 * sigma**2 * radius**2)
    expected = np.array([transfer[ring == k].mean() for k in range(1, 17)])
    squared = np.array([(transfer[ring == k] ** 2).mean() for k in range(1, 17)])
    few = slice(1, 11)  # beyond, the window leaks more than is left
    np.testing.assert_allclose(found.gain[few], expected[few], rtol=0.05)
    np.testing.assert_allclose(found.ratio_db[few], 10 * np.log10(squared[few]), atol=0.5)
    assert found.invented[few].max() < 0.01 * found.original.mean()
    # |H|² = 10^-0.3 at f = √(0.3 ln 10) / (2πσ)
    assert found.half_power == pytest.approx(np.sqrt(0.3 * np.log(10)) / (2 * np.pi * sigma), rel=0.05)


def test_the_error_is_what_is_lost_and_what_is_invented():
    images = noise(20, 3, 16, 24)
    own = 0.3 * images + 0.05 * noise(20, 3, 16, 24, seed=1)
    found = spectra(images, own)
    np.testing.assert_allclose(found.error, spectra(own - images, images).original, rtol=1e-9)
    np.testing.assert_allclose((1 - found.gain) ** 2 * found.original + found.invented, found.error, rtol=1e-9)


def test_noise_that_is_added_is_invented_and_contrast_that_is_taken_is_not():
    images = noise(400, 1, 24, 24)
    found = spectra(images, 0.5 * images + noise(400, 1, 24, 24, seed=1))
    np.testing.assert_allclose(found.gain, 0.5, atol=0.05)
    np.testing.assert_allclose(found.invented[2:], 0.01, rtol=0.05)  # the variance of the noise
    assert spectra(images, 0.5 * images).invented.max() < 1e-12
    np.testing.assert_allclose(spectra(images, 0.5 * images).ratio_db, 20 * np.log10(0.5))


def test_shifted_detail_is_invented():
    images = noise(400, 1, 32, 32)
    found = spectra(images, np.roll(images, 1, axis=3))
    np.testing.assert_allclose(found.ratio_db[2:], 0, atol=0.1)
    coherent = j0(2 * np.pi * found.frequency)  # the mean of cos(2πf cos φ) over directions φ
    np.testing.assert_allclose(found.gain, coherent, atol=0.07)
    np.testing.assert_allclose(found.invented[2:] / found.reconstruction[2:], 1 - coherent[2:] ** 2, atol=0.05)


def test_many_images_are_measured_in_chunks_as_at_once(monkeypatch: pytest.MonkeyPatch):
    images, own = noise(30, 1, 8, 8), noise(30, 1, 8, 8, seed=1)
    whole = spectra(images, own)
    monkeypatch.setattr("resnet_lab.inspect.spectrum.CHUNK", 7)
    for name in ("original", "reconstruction", "cross"):
        np.testing.assert_allclose(getattr(spectra(images, own), name), getattr(whole, name))


def test_half_power_lies_between_the_rings_around_it():
    frequency = np.array([0.1, 0.2, 0.3, 0.4])
    powers = 10 ** (np.array([0.0, -1.0, -5.0, -20.0]) / 10)
    found = Spectra(frequency, np.ones(4), powers, np.sqrt(powers))
    assert found.half_power == pytest.approx(0.25)
    assert Spectra(frequency, np.ones(4), 0.1 * powers, powers).half_power == 0  # at the lowest frequency already


def test_images_without_detail_give_finite_numbers():
    found = spectra(np.full((2, 1, 8, 8), 0.5), np.zeros((2, 1, 8, 8)))
    for values in (found.ratio_db, found.gain, found.invented, found.error):
        assert np.isfinite(values).all()
