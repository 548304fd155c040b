"""Radially averaged power spectra: which spatial scales of images a reconstruction keeps, loses and invents."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

CHUNK = 256  # images per Fourier transform
HALF_POWER = -3.0  # dB
TINY = 1e-20  # keeps quotients of powers finite


def rings(*sides: int) -> tuple[npt.NDArray[np.int_], Numbers]:
    """Return the ring of each frequency of `np.fft.fftn` (H, W), and the frequencies of rings 1, 2, … (F,), up to 0.5.

    Frequencies are in cycles per pixel, the same along both axes; a ring is one cycle per shorter side wide. In a
    square image of side N, ring k thus holds the frequencies of k - 0.5 to k + 0.5 cycles per N pixels. Of series (L,),
    a ring is one frequency and its negative.
    """
    shorter = max(min(sides), 2)
    radius_HW = np.abs(np.fft.fftfreq(sides[-1]))
    for side in sides[:-1]:
        radius_HW = np.hypot(np.fft.fftfreq(side)[:, None], radius_HW)
    return np.floor(radius_HW * shorter + 0.5).astype(int), np.arange(1, shorter // 2 + 1) / shorter


def radial_mean(values_HW: np.ndarray) -> Numbers:
    """Average values at the frequencies of `np.fft.fftn` over each ring (F,)."""
    ring_HW, frequency_F = rings(*values_HW.shape)
    sums, counts = np.bincount(ring_HW.ravel(), values_HW.ravel()), np.bincount(ring_HW.ravel())
    return np.asarray(sums / np.maximum(counts, 1))[1 : len(frequency_F) + 1]


@dataclass(frozen=True, slots=True)
class Spectra:
    """Power of images and of their reconstructions by spatial frequency, averaged over images and channels (F,).

    Write X and Y for the Fourier coefficients of an image and its reconstruction. In each ring of frequencies, g X is
    the best approximation of Y by a multiple of X, with the `gain` g = Re⟨X* Y⟩ / ⟨|X|²⟩. It splits the error exactly:
    ⟨|Y - X|²⟩ = (1 - g)² ⟨|X|²⟩ + ⟨|Y - g X|²⟩, contrast that is lost, and detail that is invented.
    """

    frequency: Numbers  # in cycles per pixel
    original: Numbers  # ⟨|X|²⟩; white noise of variance v has power v at all frequencies
    reconstruction: Numbers  # ⟨|Y|²⟩
    cross: Numbers  # Re⟨X* Y⟩

    @property
    def ratio_db(self) -> Numbers:
        """Power of the reconstructions relative to that of the originals, in dB; right detail or not."""
        return 10 * np.log10(np.maximum(self.reconstruction, TINY) / np.maximum(self.original, TINY))

    @property
    def gain(self) -> Numbers:
        """Contrast with which the originals appear in the reconstructions: 1 if unchanged, 0 if lost.

        For images that were filtered, it is the filter's transfer function.
        """
        return self.cross / np.maximum(self.original, TINY)

    @property
    def invented(self) -> Numbers:
        """Power of the reconstructions that no multiple of the original explains, ⟨|Y|²⟩ (1 - γ²).

        γ² = (Re⟨X* Y⟩)² / (⟨|X|²⟩ ⟨|Y|²⟩) is the coherence of a ring. Detail that is shifted counts as invented, and
        so does contrast that varies from image to image or with direction.
        """
        return np.maximum(self.reconstruction - self.cross**2 / np.maximum(self.original, TINY), 0)

    @property
    def error(self) -> Numbers:
        """Power of the error, ⟨|Y - X|²⟩. Above that of the originals, nothing at all would have been closer."""
        return np.maximum(self.original + self.reconstruction - 2 * self.cross, 0)

    @property
    def half_power(self) -> float | None:
        """The lowest frequency at which the ratio falls below -3 dB, interpolated; None if there is none.

        In cycles per pixel; 1 / half_power is the wavelength in pixels. It is 0 if the ratio is below -3 dB at the
        lowest frequency already, so that no measured scale is kept.
        """
        below = np.flatnonzero(self.ratio_db < HALF_POWER)
        if not len(below):
            return None
        first = below[0]
        if first == 0:
            return 0.0
        around = slice(first - 1, first + 1)
        return float(np.interp(-HALF_POWER, -self.ratio_db[around], self.frequency[around]))


def spectra(originals_NCHW: np.ndarray, reconstructions_NCHW: np.ndarray) -> Spectra:
    """Measure the power spectra of images and their reconstructions, both with pixels in 0…1.

    The mean of each image and channel is removed. A Hann window fades the edges out: otherwise the Fourier transform
    would take their jump from one side to the opposite one as detail of all scales.
    """
    sides = originals_NCHW.shape[2:]
    window_HW = _hann(sides[-1])
    for side in sides[:-1]:
        window_HW = _hann(side)[:, None] * window_HW
    sums_3HW = np.zeros((3, *sides))
    for start in range(0, len(originals_NCHW), CHUNK):
        pair = (array[start : start + CHUNK] for array in (originals_NCHW, reconstructions_NCHW))
        x, y = (_transformed(images, window_HW) for images in pair)
        for total_HW, product in zip(sums_3HW, (x.conj() * x, y.conj() * y, x.conj() * y), strict=True):
            total_HW += product.real.sum(axis=(0, 1))
    count = originals_NCHW.shape[0] * originals_NCHW.shape[1]
    powers = (radial_mean(total_HW) / (count * np.sum(window_HW**2)) for total_HW in sums_3HW)
    return Spectra(rings(*sides)[1], *powers)


def _transformed(images_BCHW: np.ndarray, window_HW: Numbers) -> npt.NDArray[np.complex128]:
    images_BCHW, axes = images_BCHW.astype(float), tuple(range(2, images_BCHW.ndim))
    return np.fft.fftn((images_BCHW - images_BCHW.mean(axis=axes, keepdims=True)) * window_HW, axes=axes)


def _hann(length: int) -> Numbers:
    """Return Hann's window for pixels, which lie between its two zeros (length,)."""
    return np.asarray(np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2)
