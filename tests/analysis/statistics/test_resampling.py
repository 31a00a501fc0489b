import numpy as np
import pytest
from scipy import stats

from satsynth.analysis.statistics import resampling
from satsynth.analysis.statistics.resampling import bootstrap_interval, jackknife_interval, scene_numbers


def mean(sums, images):
    return sums / images[:, None]


def test_scenes_are_numbered_in_order_of_their_first_image():
    assert scene_numbers(["b", "a", "b", "c"], 4).tolist() == [0, 1, 0, 2]
    assert scene_numbers(None, 3).tolist() == [0, 1, 2]


def test_the_bootstrap_of_a_mean_agrees_with_its_standard_error():
    counts = np.random.default_rng(0).poisson(9, (400, 2))
    value, low, high = bootstrap_interval(counts, None, mean)
    np.testing.assert_allclose(value, counts.mean(0))
    np.testing.assert_allclose(high - low, 2 * 1.96 * counts.std(0) / 20, rtol=0.15)


def test_intervals_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch):
    counts = np.random.default_rng(0).integers(0, 9, (6, 3))
    whole = bootstrap_interval(counts, None, mean)
    monkeypatch.setattr(resampling, "MOST_DRAWN", 20)
    np.testing.assert_array_equal(bootstrap_interval(counts, None, mean), whole)


def test_one_scene_has_a_value_and_no_interval():
    value, low, high = bootstrap_interval(np.array([[1, 2], [3, 4]]), ["a", "a"], mean)
    assert value.tolist() == [2, 3] and np.isnan([low, high]).all()


def test_the_jackknife_of_a_difference_of_means_is_welchs_interval():
    random = np.random.default_rng(0)
    a, b = random.normal(size=12), random.normal(1, 3, 7)
    value = b.mean() - a.mean()
    without = (
        [b.mean() - np.delete(a, i).mean() for i in range(12)],
        [np.delete(b, i).mean() - a.mean() for i in range(7)],
    )
    low, high = jackknife_interval(value, *map(np.array, without))
    wanted = stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    assert (low, high) == pytest.approx((wanted.low, wanted.high))


def test_the_jackknife_needs_two_scenes_of_each_sample():
    assert np.isnan(jackknife_interval(1.0, np.array([1.0]), np.array([0.9, 1.1]))).all()
    assert np.isnan(jackknife_interval(1.0, np.array([np.nan, 1.0]))).all()
    assert jackknife_interval(1.0, np.ones(3)) == (1.0, 1.0)
