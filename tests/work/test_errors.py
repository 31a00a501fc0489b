from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satsynth.work.errors import AncestryError, DataError, ResourceError, SatSynthError, listing


@pytest.mark.parametrize("kind", [SatSynthError, DataError, AncestryError, ResourceError])
def test_errors_survive_the_way_back_from_a_worker_process(kind: type[SatSynthError]) -> None:
    error = pickle.loads(pickle.dumps(kind("It broke.", "Mend it.")))
    assert type(error) is kind
    assert (error.problem, error.remedy) == ("It broke.", "Mend it.")


def test_the_message_holds_problem_and_remedy() -> None:
    assert str(SatSynthError("It broke.")) == "It broke."
    assert str(SatSynthError("It broke.", "Mend it.")) == "It broke.\n  What to do: Mend it."


@given(st.integers(0, 50), st.integers(1, 30))
def test_a_listing_accounts_for_every_item(count: int, limit: int) -> None:
    lines = [line for line in listing([f"item {i}" for i in range(count)], limit).split("\n") if line]
    shown = sum(line.startswith("  - item ") for line in lines)
    left = int(lines[-1].split()[2]) if count > limit else 0
    assert shown == min(count, limit)
    assert shown + left == count
