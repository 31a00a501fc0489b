"""Fréchet distance of two sets in the judge's features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from satsynth.analysis.measures.feature_space import standardised
from satsynth.analysis.measures.inputs import HALVES, REFERENCE, MeasureInputs
from satsynth.analysis.measures.registry import Heading, Measure
from satsynth.analysis.measures.table import Row

# With fewer images than this a covariance of many features cannot be estimated.
ENOUGH, MOST_DIMENSIONS = 1000, 64


def principal(reference: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Return all sets in at most 64 principal directions of the reference where one has fewer than 1,000 rows.

    Args:
        reference: ``(N, F)`` features, which decide the directions.
        others: More sets; one of fewer than two rows has no covariance in any case, and does not count.
    """
    fewest = min((len(part) for part in (reference, *others) if len(part) > 1), default=1)
    if fewest >= ENOUGH:
        return [reference, *others]
    mean = reference.mean(0)
    directions = np.linalg.svd(reference - mean, full_matrices=False)[2][: min(MOST_DIMENSIONS, fewest - 1)]
    return [(part - mean) @ directions.T for part in (reference, *others)]


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the squared Fréchet distance of the Gaussians that fit two sets of features.

    Args:
        a: ``(N, F)``.
        b: ``(M, F)``.

    Returns:
        At least zero; NaN if a set has fewer than two rows.

    Source: Heusel et al., arXiv 1706.08500, equation 6.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")
    a, b = a.astype(np.float64), b.astype(np.float64)
    first, second = (np.atleast_2d(np.cov(part, rowvar=False)) for part in (a, b))
    # tr sqrt(A B) is the sum of the roots of the eigenvalues of A B, which are real and not negative.
    roots = np.sqrt(np.maximum(np.linalg.eigvals(first @ second).real, 0)).sum()
    return float(max(0.0, ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * roots))


def _rows(inputs: MeasureInputs) -> Iterator[Row]:
    """Yield distances without intervals: the distance is biased upwards, and any resampling adds to the bias."""
    reference, others = standardised(inputs)
    names, halves = list(others), (reference[inputs.halves], reference[~inputs.halves])
    base, *reduced = principal(reference, *others.values(), *halves)
    first, second = reduced[-2:]
    for name, part in zip(names, reduced, strict=False):
        yield Row(name, "frechet_distance", frechet_distance(base, part))
    yield Row(HALVES, "frechet_distance", frechet_distance(first, second))
    yield Row(REFERENCE, "frechet_dimensions", base.shape[1])


MEASURE = Measure(
    name="frechet_distance",
    version=1,
    needs=frozenset({"features"}),
    rows=_rows,
    headings={"frechet_distance": Heading("Fréchet distance")},
)
