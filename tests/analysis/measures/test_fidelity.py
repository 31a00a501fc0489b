import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch_fidelity.metric_kid import mmd2

from satsynth.analysis.measures.fidelity import (
    bandwidth_of,
    color_histogram,
    fidelity_facts,
    histogram_distance,
    kernel_distance,
    radial_spectrum,
    scene_halves,
    spectrum_distance,
    standardise,
)
from satsynth.analysis.measures.manifold import square_distances

pictures = arrays(np.uint8, st.tuples(st.integers(1, 3), st.just(4), st.just(4), st.just(3)))


def features(number, seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (number, 6))


def test_kernel_distance_against_a_double_loop():
    a, b = features(7, 0), features(5, 1, 0.5)

    def kernel(x, y):
        return np.exp(-np.sum((x - y) ** 2) / (2 * 1.7**2))

    within_a = np.mean([kernel(a[i], a[j]) for i in range(7) for j in range(7) if i != j])
    within_b = np.mean([kernel(b[i], b[j]) for i in range(5) for j in range(5) if i != j])
    between = np.mean([kernel(x, y) for x in a for y in b])
    assert kernel_distance(a, b, 1.7) == pytest.approx(within_a + within_b - 2 * between)
    assert kernel_distance(b, a, 1.7) == pytest.approx(kernel_distance(a, b, 1.7))


def test_kernel_distance_is_unbiased_and_sees_a_shift():
    same = [kernel_distance(features(60, 2 * i), features(60, 2 * i + 1), 3.0) for i in range(60)]
    assert abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(60)
    assert min(same) < 0
    assert kernel_distance(features(60, 0), features(60, 1, 0.5), 3.0) > max(same)


def test_kernel_distance_of_normal_distributions_in_closed_form():
    """Of N(0, 1) and N(d, 1) in one dimension: 2 s (1 - exp(-d^2 / (2 (s^2 + 2)))) / sqrt(s^2 + 2)."""
    s, d = 1.5, 0.8
    found = [
        kernel_distance(*(np.random.default_rng([i, j]).normal(j * d, 1, (400, 1)) for j in range(2)), s)
        for i in range(20)
    ]
    exact = 2 * s / np.sqrt(s**2 + 2) * (1 - np.exp(-(d**2) / (2 * (s**2 + 2))))
    assert np.mean(found) == pytest.approx(exact, abs=4 * np.std(found) / np.sqrt(20))


def test_one_outlier_does_not_decide():
    a, b = features(100, 0), features(100, 1)
    spoilt = b.copy()
    spoilt[0] = 1e6
    assert abs(kernel_distance(a, spoilt, 3.0) - kernel_distance(a, b, 3.0)) < 0.05


def test_bandwidth_is_the_median_distance():
    a = features(50, 0)
    distances = [np.linalg.norm(a[i] - a[j]) for i in range(50) for j in range(i)]
    assert bandwidth_of(a) == pytest.approx(np.median(distances))
    assert bandwidth_of(np.ones((4, 2))) == 1


@pytest.mark.parametrize("number", [0, 1])
def test_kernel_distance_of_too_few_rows(number):
    assert np.isnan(kernel_distance(features(5, 0), features(number, 1), 1.0))


def test_standardise_by_the_reference():
    reference, other = standardise(3 + 2 * features(5000, 0), 3 + 2 * features(4000, 1, 1.0))
    np.testing.assert_allclose(reference.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(reference.std(0), 1, atol=1e-5)
    np.testing.assert_allclose(other.mean(0), 1, atol=0.1)
    constant = standardise(np.ones((4, 2)))[0]
    assert not constant.any()


@given(pictures)
def test_histogram_against_numpy(images):
    found = color_histogram(images)
    for channel in range(3):
        counts, _ = np.histogram(images[..., channel], bins=32, range=(0, 256))
        np.testing.assert_allclose(found[channel], counts / images[..., channel].size)


@given(pictures, pictures)
def test_bounds_of_the_histogram_distance(a, b):
    a, b = color_histogram(a), color_histogram(b)
    assert 0 <= histogram_distance(a, b) <= 1 + 1e-12
    assert histogram_distance(a, a) == 0
    assert histogram_distance(a, b) == histogram_distance(b, a)


def test_ends_of_the_histogram_distance():
    black, white = (color_histogram(np.full((1, 4, 4, 3), value, np.uint8)) for value in (0, 255))
    assert histogram_distance(black, white) == 1


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


def test_kernel_distance_equals_torch_fidelity_on_the_same_kernel():
    a, b = features(30, 0), features(30, 1, 0.3)
    kernels = [np.exp(square_distances(x, y) / (-2 * 1.5**2)) for x, y in ((a, a), (a, b), (b, b))]
    assert kernel_distance(a, b, 1.5) == pytest.approx(mmd2(*kernels, mmd_est="unbiased"))


def test_facts_state_every_set_beside_the_yardstick():
    random = np.random.default_rng(0)
    images = {name: random.integers(0, 256, (12, 16, 16, 3), np.uint8) for name in ("train", "val", "synthetic")}
    vectors = {"train": features(12, 0), "val": features(12, 1), "synthetic": features(12, 2, 4.0)}
    halves = np.arange(12) < 6
    curves, facts = fidelity_facts(images, vectors, halves)
    for name, part in curves.groupby("set"):
        drawn = {curve: points["y"].to_numpy() for curve, points in part.groupby("curve")}
        np.testing.assert_allclose(drawn.pop("spectrum"), radial_spectrum(images[name]))
        wanted = dict(zip(("red", "green", "blue"), color_histogram(images[name]), strict=True))
        assert {curve: list(y) for curve, y in drawn.items()} == {curve: list(y) for curve, y in wanted.items()}
    assert set(curves["set"]) == set(images)
    # Middles of bins of eight grey levels.
    assert curves.query("curve == 'red' and set == 'train'")["x"].tolist()[:2] == [4, 12]
    for name in ("kernel_distance", "frechet_distance", "neighbourhoods"):
        assert set(facts[name]) == {"val", "synthetic", "train_halves"}
    assert facts["frechet_distance"]["synthetic"] > facts["frechet_distance"]["val"]
    assert facts["neighbourhoods"]["synthetic"]["precision"] < facts["neighbourhoods"]["val"]["precision"]
    assert facts["images"]["train"] == 12 and facts["halves"] == [6, 6]
    # Halves of 6 images span 5 dimensions.
    assert facts["frechet_dimensions"] == 5


def test_one_training_scene_has_no_halves_and_does_not_widen_the_frechet_distance():
    random = np.random.default_rng(0)
    sizes = {"train": 90, "val": 70, "synthetic": 80}
    images = {name: random.integers(0, 256, (size, 8, 8, 3), np.uint8) for name, size in sizes.items()}
    vectors = {name: random.normal(size=(size, 100)) for name, size in sizes.items()}
    facts = fidelity_facts(images, vectors, scene_halves(["one"] * 90))[1]
    assert facts["frechet_dimensions"] == 64
    assert np.isnan(facts["frechet_distance"]["train_halves"]) and np.isnan(facts["kernel_distance"]["train_halves"])
    assert np.isfinite([facts["frechet_distance"][name] for name in ("val", "synthetic")]).all()
