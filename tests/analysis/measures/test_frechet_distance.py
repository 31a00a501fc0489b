from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_fid import fid_statistics_to_metric

from satsynth.analysis.measures.frechet_distance import frechet_distance, principal

sets = st.tuples(st.integers(0, 2**31), st.integers(8, 40), st.integers(8, 40), st.integers(1, 6), st.floats(0, 3))


def drawn(seed: int, n: int, m: int, features: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(n, features)), random.normal(size=(m, features)) + shift


@given(sets)
@settings(max_examples=20, deadline=None)
def test_frechet_distance_equals_torch_fidelity(case: tuple[int, int, int, int, float]) -> None:
    sides = drawn(*case)
    statistics = [{"mu": part.mean(0), "sigma": np.atleast_2d(np.cov(part, rowvar=False))} for part in sides]
    wanted = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(*sides) == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_principal_directions_keep_what_varies_and_only_where_images_are_few() -> None:
    random = np.random.default_rng(0)
    wide = random.normal(size=(500, 100)) * np.linspace(5, 0.1, 100)
    reduced, other = principal(wide, wide[:300] + 1)
    assert reduced.shape == (500, 64) and other.shape == (300, 64)
    assert reduced.var(0).sum() > 0.95 * wide.var(0).sum()
    # A rotation moves no point nearer to another than projection allows.
    assert frechet_distance(reduced, other) <= frechet_distance(wide, wide[:300] + 1) + 1e-6
    many = random.normal(size=(1000, 100))
    assert principal(many, many)[1] is many
    assert principal(wide, wide[:20])[1].shape == (20, 19)


def test_a_set_of_one_image_has_no_covariance() -> None:
    assert np.isnan(frechet_distance(np.zeros((1, 3)), np.random.default_rng(0).normal(size=(9, 3))))
