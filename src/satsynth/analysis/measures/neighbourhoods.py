"""Precision, recall, density and coverage in the judge's features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from satsynth.analysis.measures.feature_space import square_distances, standardised
from satsynth.analysis.measures.inputs import HALVES, REFERENCE, MeasureInputs
from satsynth.analysis.measures.registry import Heading, Measure
from satsynth.analysis.measures.table import Row
from satsynth.analysis.statistics.resampling import bootstrap_interval

NEIGHBOURS = 5
NAMES = ("precision", "recall", "density", "coverage")
# These are means over real images; the others are means over the images that are compared with them.
OVER_REAL = ("recall", "coverage")


def neighbourhoods(real: np.ndarray, drawn: np.ndarray, nearest: int = NEIGHBOURS) -> dict[str, float]:
    """Return precision, recall, density and coverage.

    A ball around each image reaches to its ``nearest``-th neighbour of the same set. Precision: share of drawn images
    in the ball of a real one. Recall: share of real images in the ball of a drawn one. Density: mean number of real
    balls that hold a drawn image, divided by ``nearest``; it may exceed one. Coverage: share of real balls that hold a
    drawn image.

    Args:
        real: ``(N, F)`` features.
        drawn: ``(M, F)`` features.
        nearest: The neighbour that a ball reaches to; lowered where a set has too few images.

    Source: Kynkäänniemi et al., arXiv 1904.06991; Naeem et al., arXiv 2002.09797.
    """
    hits, nearest = _hits(real, drawn, nearest)
    if nearest < 1:
        return dict.fromkeys(NAMES, float("nan"))
    return {name: float(hits[name].mean() / (nearest if name == "density" else 1)) for name in NAMES}


def _hits(real: np.ndarray, drawn: np.ndarray, nearest: int) -> tuple[dict[str, np.ndarray], int]:
    """Return what each image adds to the means, ``(N,)`` or ``(M,)`` int64, and the neighbour that balls reach to."""
    nearest = min(nearest, len(real) - 1, len(drawn) - 1)
    if nearest < 1:
        return {}, nearest
    between = square_distances(real, drawn)
    # The nearest of all is the image itself.
    radius, other_radius = (
        np.partition(square_distances(part, part), nearest, axis=1)[:, nearest] for part in (real, drawn)
    )
    inside = between < radius[:, None]
    hits = {
        "precision": inside.any(0),
        "recall": (between < other_radius).any(1),
        "density": inside.sum(0),
        "coverage": between.min(1) < radius,
    }
    return {name: found.astype(np.int64) for name, found in hits.items()}, nearest


def _compared(
    name: str,
    real: np.ndarray,
    drawn: np.ndarray,
    real_scenes: Sequence[str] | None,
    drawn_scenes: Sequence[str] | None,
) -> Iterator[Row]:
    """Yield the rows of one set, with intervals over the scenes that each mean is over.

    Balls, and the set that the mean is not over, are held fixed: resampling them too would draw images twice, which
    shrinks the balls to nothing. So the intervals say how much other images of the same kind would change the value,
    not how much another reference would.
    """
    hits, nearest = _hits(real, drawn, NEIGHBOURS)
    for measure in NAMES:
        if nearest < 1:
            yield Row(name, measure, float("nan"))
            continue
        scale = nearest if measure == "density" else 1
        scenes = real_scenes if measure in OVER_REAL else drawn_scenes

        def mean(sums: np.ndarray, images: np.ndarray, scale: int = scale) -> np.ndarray:
            return sums / images / scale

        yield Row(name, measure, *map(float, bootstrap_interval(hits[measure], scenes, mean)))


def _rows(inputs: MeasureInputs) -> Iterator[Row]:
    reference, others = standardised(inputs)
    for name, features in others.items():
        yield from _compared(name, reference, features, inputs.scenes[REFERENCE], inputs.scenes[name])
    halves = reference[inputs.halves], reference[~inputs.halves]
    yield from _compared(HALVES, *halves, inputs.scenes_of_half(True), inputs.scenes_of_half(False))
    yield Row(REFERENCE, "neighbours", NEIGHBOURS)


MEASURE = Measure(
    name="neighbourhoods",
    version=2,
    needs=frozenset({"features"}),
    rows=_rows,
    headings={
        name: Heading(
            name, "scenes of train,\nthe set fixed" if name in OVER_REAL else "scenes of the set,\ntrain fixed"
        )
        for name in NAMES
    },
)
