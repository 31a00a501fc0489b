"""Kernel distance: the maximum mean discrepancy of two sets in features, here the judge's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from satsynth.analysis.measures.feature_space import square_distances, standardised
from satsynth.analysis.measures.inputs import HALVES, REFERENCE, MeasureInputs
from satsynth.analysis.measures.registry import Heading, Measure
from satsynth.analysis.measures.table import Row
from satsynth.analysis.statistics.resampling import jackknife_interval, scene_numbers

Scenes = Sequence[str] | None


def bandwidth_of(reference: np.ndarray) -> float:
    """Return the median distance between rows of the reference ``(N, F)``, of at most 1000 of them evenly spread."""
    rows = reference[np.linspace(0, len(reference) - 1, min(len(reference), 1000)).astype(int)]
    return float(np.sqrt(np.median(square_distances(rows, rows)[np.triu_indices(len(rows), 1)]))) or 1.0


def kernel_distance(a: np.ndarray, b: np.ndarray, bandwidth: float) -> float:
    """Return the unbiased squared maximum mean discrepancy of two sets of features under a Gaussian kernel.

    The kernel is bounded, so that a few outliers cannot decide; a cubic one (KID) in features of a small network is
    ruled by them.

    Args:
        a: ``(N, F)`` features.
        b: ``(M, F)`` features.
        bandwidth: Standard deviation of the kernel, the same for all sets compared.

    Returns:
        The distance, at most 2; around zero, possibly below, for sets of one distribution; NaN if a set has fewer than
        two rows.

    Source: Gretton et al., JMLR 13 (2012), lemma 6; for images Jayasumana et al., arXiv 2401.09603.
    """
    return _discrepancy(*_kernels(a, b, bandwidth)) if min(len(a), len(b)) > 1 else float("nan")


def kernel_distance_interval(
    a: np.ndarray, b: np.ndarray, bandwidth: float, scenes: tuple[Scenes, Scenes]
) -> tuple[float, float, float]:
    """Return the kernel distance with a 95 % jackknife interval over the scenes of both sets.

    A bootstrap would draw images twice, whose distance is zero. Near zero the interval is too wide rather than too
    narrow: there the jackknife overestimates the variance.

    Args:
        a: ``(N, F)`` features.
        b: ``(M, F)`` features.
        bandwidth: Standard deviation of the kernel, held fixed.
        scenes: The scenes of both sets; None where images are independent.

    Returns:
        Distance, low and high; NaN where it is not defined.
    """
    if min(len(a), len(b)) < 2:
        return (float("nan"),) * 3
    aa, bb, ab = _kernels(a, b, bandwidth)
    value = _discrepancy(aa, bb, ab)
    first, second = (scene_numbers(names, len(part)) for names, part in zip(scenes, (a, b), strict=True))
    return value, *jackknife_interval(value, _without_scenes(first, aa, bb, ab), _without_scenes(second, bb, aa, ab.T))


def _kernels(a: np.ndarray, b: np.ndarray, bandwidth: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    aa, bb, ab = (np.exp(square_distances(x, y) / (-2 * bandwidth**2)) for x, y in ((a, a), (b, b), (a, b)))
    return aa, bb, ab


def _discrepancy(aa: np.ndarray, bb: np.ndarray, ab: np.ndarray) -> float:
    n, m = ab.shape
    return float((aa.sum() - np.trace(aa)) / (n * (n - 1)) + (bb.sum() - np.trace(bb)) / (m * (m - 1)) - 2 * ab.mean())


def _without_scenes(numbers: np.ndarray, aa: np.ndarray, bb: np.ndarray, ab: np.ndarray) -> np.ndarray:
    """Return the distance without each scene of the first set ``(G,)``; NaN where fewer than two images are left.

    Args:
        numbers: ``(N,)`` number of each image's scene.
        aa: ``(N, N)`` kernel within the first set.
        bb: ``(M, M)`` kernel within the second set.
        ab: ``(N, M)`` kernel between them.
    """
    n, m = ab.shape
    size = np.bincount(numbers)
    rows = np.bincount(numbers, aa.sum(1))
    inside = np.array([aa[np.ix_(own, own)].sum() for own in (numbers == g for g in range(len(size)))])
    left = (n - size).astype(np.float64)
    left[left < 2] = np.nan
    # Images of the scene leave the sum with all others and with one another; the kernel's diagonal is one.
    within = (aa.sum() - 2 * rows + inside - left) / (left * (left - 1))
    between = (ab.sum() - np.bincount(numbers, ab.sum(1))) / (left * m)
    return within + (bb.sum() - np.trace(bb)) / (m * (m - 1)) - 2 * between


def kernel_rows(measure: str, inputs: MeasureInputs, features: Mapping[str, np.ndarray]) -> Iterator[Row]:
    """Yield the kernel distance of each set to the reference, and of halves of the reference, in some features.

    Args:
        measure: Name of the measure in the table.
        inputs: The sets.
        features: ``(N, F)`` by name of the set; without any, no row.
    """
    if not features:
        return
    reference, others = standardised(inputs, features)
    width, known = bandwidth_of(reference), inputs.scenes
    for name, other in others.items():
        scenes = known[REFERENCE], known[name]
        yield Row(name, measure, *kernel_distance_interval(reference, other, width, scenes))
    halves = reference[inputs.halves], reference[~inputs.halves]
    scenes = inputs.scenes_of_half(True), inputs.scenes_of_half(False)
    yield Row(HALVES, measure, *kernel_distance_interval(*halves, width, scenes))


def _rows(inputs: MeasureInputs) -> Iterator[Row]:
    return kernel_rows("kernel_distance", inputs, inputs.features)


MEASURE = Measure(
    name="kernel_distance",
    version=1,
    needs=frozenset({"features"}),
    rows=_rows,
    headings={"kernel_distance": Heading("kernel distance", "scenes of both sets")},
)
