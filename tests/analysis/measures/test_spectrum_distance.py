import numpy as np
import pytest

from satsynth.analysis.measures.spectrum_distance import radial_spectrum, spectrum_distance


def waves(frequency_x, frequency_y, side=32):
    y, x = np.mgrid[:side, :side] / side
    grey = 127.5 + 100 * np.sin(2 * np.pi * (frequency_x * x + frequency_y * y))
    return np.repeat(np.rint(grey)[None, ..., None], 3, -1).astype(np.uint8)


@pytest.mark.parametrize(("x", "y"), [(5, 0), (0, 9), (3, 4), (6, 8)])
def test_spectrum_finds_the_frequency_of_a_wave(x, y):
    spectrum = radial_spectrum(waves(x, y))
    assert spectrum.shape == (16,)
    assert spectrum.argmax() == np.hypot(x, y)
    assert np.delete(spectrum, spectrum.argmax()).max() < 1e-2 * spectrum.max()


def test_power_adds_up_to_the_variance():
    # Smooth pictures have no power beyond the circle that the spectrum covers.
    images = np.concatenate([waves(3, 2, 16), waves(1, 4, 16)])
    spectrum = radial_spectrum(images)
    axis = np.fft.fftfreq(16) * 16
    radius = np.rint(np.hypot(*np.meshgrid(axis, axis))).astype(int)
    members = np.bincount(radius.ravel())[:8]
    variance = np.mean([(image.mean(2) / 255).var() for image in images])
    # Parseval: the sum of squared coefficients is N^2 times the sum of squares.
    assert (spectrum * members).sum() / 16**4 == pytest.approx(variance, rel=1e-2)


def test_white_noise_has_a_flat_spectrum():
    images = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 1), np.uint8).repeat(3, 3)
    spectrum = radial_spectrum(images)[2:]
    assert spectrum.max() / spectrum.min() < 1.4


def test_spectrum_distance_is_in_decades_and_leaves_the_mean_out():
    a = np.array([5.0, 1.0, 2.0, 4.0])
    b = np.array([9e9, 10.0, 20.0, 40.0])
    assert spectrum_distance(a, b) == pytest.approx(1)
    assert spectrum_distance(a, a) == 0
