"""The Jensen-Shannon divergence of two distributions over classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from satsynth.analysis.measures.inputs import REFERENCE
from satsynth.analysis.measures.table import Row


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """Return the Jensen-Shannon divergence of two distributions ``(K,)`` in bits, in [0, 1]; NaN if one is all zero."""
    if not p.any() or not q.any():
        return float("nan")
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2

    def part(a: np.ndarray) -> float:
        some = a > 0
        return float((a[some] * np.log2(a[some] / middle[some])).sum())

    return max(0.0, (part(p) + part(q)) / 2)


def divergence_rows(measure: str, shares: Mapping[str, np.ndarray]) -> Iterator[Row]:
    """Yield the divergence of each set's shares to those of train.

    There are no intervals: the divergence is never negative, so that its estimate is biased upwards, most where the
    distributions are equal, and resampling adds the same bias again.

    Args:
        measure: Name of the measure.
        shares: Shares or counts ``(K,)`` by name of the set.
    """
    for name, share in shares.items():
        if name != REFERENCE:
            yield Row(name, measure, jensen_shannon(share, shares[REFERENCE]))
