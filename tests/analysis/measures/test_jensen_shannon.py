import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import distance

from satsynth.analysis.measures.jensen_shannon import divergence_rows, jensen_shannon

# Pixel counts are whole numbers: shares too small to be halved do not occur.
shares = arrays(np.float64, 4, elements=st.integers(0, 10**6).map(lambda n: n / 10**6)).filter(lambda p: p.sum() > 1e-3)


@given(shares, shares)
def test_divergence_equals_scipy(p, q):
    expected = distance.jensenshannon(p, q, base=2) ** 2
    assert jensen_shannon(p, q) == pytest.approx(np.nan_to_num(expected), abs=1e-9)
    assert jensen_shannon(p, q) == pytest.approx(jensen_shannon(q, p), abs=1e-12)
    assert 0 <= jensen_shannon(p, q) <= 1 + 1e-12


def test_ends_of_the_divergence():
    p, q = np.array([1.0, 0, 0]), np.array([0, 0.5, 0.5])
    assert jensen_shannon(p, q) == pytest.approx(1)
    assert jensen_shannon(q, q) == 0


def test_a_set_without_pixels_is_not_equal_to_the_others():
    assert np.isnan(jensen_shannon(np.zeros(3), np.array([0.2, 0.3, 0.5])))


def test_rows_compare_each_set_with_train():
    sets = {"val": [0.5, 0.5], "train": [0.2, 0.8], "synthetic": [0.2, 0.8]}
    val, synthetic = divergence_rows("shares", {name: np.array(share) for name, share in sets.items()})
    assert (val.set, val.measure) == ("val", "shares") and synthetic.set == "synthetic"
    assert val.value == jensen_shannon(np.array([0.5, 0.5]), np.array([0.2, 0.8])) > 0
    assert synthetic.value == 0 and np.isnan([synthetic.low, synthetic.high]).all()
