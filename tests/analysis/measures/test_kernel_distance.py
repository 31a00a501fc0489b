import numpy as np
import pytest
from torch_fidelity.metric_kid import mmd2

from satsynth.analysis.measures.feature_space import square_distances
from satsynth.analysis.measures.kernel_distance import bandwidth_of, kernel_distance, kernel_distance_interval
from satsynth.analysis.statistics.resampling import jackknife_interval


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


def test_kernel_distance_equals_torch_fidelity_on_the_same_kernel():
    a, b = features(30, 0), features(30, 1, 0.3)
    kernels = [np.exp(square_distances(x, y) / (-2 * 1.5**2)) for x, y in ((a, a), (a, b), (b, b))]
    assert kernel_distance(a, b, 1.5) == pytest.approx(mmd2(*kernels, mmd_est="unbiased"))


def test_the_interval_leaves_out_each_scene_in_turn():
    a, b, width = features(9, 0), features(7, 1, 0.5), 1.7
    scenes = list("aabbbcccc"), None
    value, low, high = kernel_distance_interval(a, b, width, scenes)
    assert value == kernel_distance(a, b, width)
    left_out = [
        [kernel_distance(a[[s != name for s in scenes[0]]], b, width) for name in "abc"],
        [kernel_distance(a, np.delete(b, i, 0), width) for i in range(7)],
    ]
    assert (low, high) == pytest.approx(jackknife_interval(value, *map(np.array, left_out)))
    assert (low + high) / 2 == pytest.approx(value) and low < value < high


def scene_features(seed, shift, scenes, images=5):
    """Features of images that are alike within a scene, and their scenes."""
    random = np.random.default_rng(seed)
    centres = random.normal(shift, 0.6, (scenes, 1, 6))
    found = centres + random.normal(size=(scenes, images, 6))
    return found.reshape(-1, 6), [str(i // images) for i in range(scenes * images)]


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_the_interval_contains_the_expected_distance_in_95_percent_of_studies(shift):
    studies = []
    for seed in range(200):
        (a, first), (b, second) = scene_features([seed, 0], 0, 15), scene_features([seed, 1], shift, 8)
        studies.append(kernel_distance_interval(a, b, 3.0, (first, second)))
    value, low, high = np.array(studies).T
    # Where the sets have one distribution it is wider than it would have to be.
    assert 0.92 <= np.mean((low <= value.mean()) & (value.mean() <= high)) <= (0.99 if shift else 1)


def test_one_scene_has_a_distance_and_no_interval():
    value, low, high = kernel_distance_interval(features(9, 0), features(7, 1), 1.7, (["one"] * 9, None))
    assert np.isfinite(value) and np.isnan([low, high]).all()
