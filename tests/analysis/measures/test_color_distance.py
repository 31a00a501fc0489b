import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from satsynth.analysis.measures.color_distance import color_histogram, histogram_distance

pictures = arrays(np.uint8, st.tuples(st.integers(1, 3), st.just(4), st.just(4), st.just(3)))


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
