import numpy as np

from satsynth.analysis.measures.feature_space import standardise


def features(number, seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (number, 6))


def test_standardise_by_the_reference():
    reference, other = standardise(3 + 2 * features(5000, 0), 3 + 2 * features(4000, 1, 1.0))
    np.testing.assert_allclose(reference.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(reference.std(0), 1, atol=1e-5)
    np.testing.assert_allclose(other.mean(0), 1, atol=0.1)
    constant = standardise(np.ones((4, 2)))[0]
    assert not constant.any()
