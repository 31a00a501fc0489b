from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_pair_stream import drawn, numbered

from satsynth.pairs.mixtures import InTurn, Shared
from satsynth.pairs.stream import PairStream

ONE, OTHER = (PairStream([numbered(start, 7)], seed=start) for start in (0, 100))


@given(st.integers(1, 99), st.integers(0, 500), st.integers(1, 60))
def test_every_stretch_has_the_share(percent: int, start: int, length: int) -> None:
    found = drawn(Shared(ONE, OTHER, percent / 100), range(start, start + length))
    assert abs(sum(number < 100 for number in found) - length * percent / 100) < 1


@pytest.mark.parametrize("share", [0.25, 0.5, 1 / 3])
def test_both_streams_keep_their_order(share: float) -> None:
    found = drawn(pickle.loads(pickle.dumps(Shared(ONE, OTHER, share))), range(42))
    for stream, numbers in ((ONE, [n for n in found if n < 100]), (OTHER, [n for n in found if n >= 100])):
        assert numbers == drawn(stream, range(len(numbers)))
        assert numbers


def test_one_follows_the_other() -> None:
    assert drawn(InTurn(ONE, 5, OTHER), range(12)) == [*drawn(ONE, range(5)), *drawn(OTHER, range(7))]
