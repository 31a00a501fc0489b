from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prdc import compute_prdc

from satsynth.analysis.measures.neighbourhoods import neighbourhoods

sets = st.tuples(st.integers(0, 2**31), st.integers(8, 40), st.integers(8, 40), st.integers(1, 6), st.floats(0, 3))


def drawn(seed: int, n: int, m: int, features: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(n, features)), random.normal(size=(m, features)) + shift


@given(sets, st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_neighbourhoods_equal_the_prdc_package(case: tuple[int, int, int, int, float], nearest: int) -> None:
    real, fake = drawn(*case)
    wanted = compute_prdc(real_features=real, fake_features=fake, nearest_k=nearest)
    assert neighbourhoods(real, fake, nearest) == pytest.approx(wanted)


def test_sets_too_small_are_not_measured() -> None:
    one, many = np.zeros((1, 3)), np.random.default_rng(0).normal(size=(9, 3))
    assert np.isnan(list(neighbourhoods(one, many).values())).all()
    # Two images have one neighbour each, however many are asked for.
    assert neighbourhoods(many[:2], many[:2], 5)["precision"] == 1
