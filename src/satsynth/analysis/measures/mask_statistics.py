"""What masks look like: single pixels, small regions, class shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from satsynth.analysis.measures.inputs import MeasureInputs
from satsynth.analysis.measures.registry import Heading, Measure
from satsynth.analysis.measures.table import Row
from satsynth.analysis.statistics.resampling import bootstrap_interval
from satsynth.pairs.regions import regions_of

SMALL_REGION = 20
RANGE, FLOOR = (0.67, 1.5), 2e-4


def statistic_names(class_names: Sequence[str]) -> list[str]:
    """Return the names of all statistics."""
    return ["isolated", "small", "regions", *(f"share.{name}" for name in class_names)]


def mask_statistics(masks: Iterable[np.ndarray], class_names: Sequence[str]) -> dict[str, float]:
    """Measure a set of masks.

    Args:
        masks: Masks ``(H, W)`` uint8 of class indices, 255 = ignore.
        class_names: Names in order of the class index.

    Returns:
        ``isolated`` (share of labelled pixels that are a region of their own), ``small`` (share in regions under 20
        pixels), ``regions`` (per mask), ``share.<class>`` (of labelled pixels).
    """
    counts = _counts(masks, len(class_names))
    values = _statistics(counts.sum(0)[None], np.array([len(counts)]))[0]
    return dict(zip(statistic_names(class_names), map(float, values), strict=True))


def _counts(masks: Iterable[np.ndarray], classes: int) -> np.ndarray:
    """Return isolated pixels, pixels in small regions, regions and pixels of each class by mask ``(N, 3 + K)``."""
    rows = []
    for mask in masks:
        sizes = regions_of(mask)[2]
        of_regions = ((sizes == 1).sum(), sizes[sizes < SMALL_REGION].sum(), len(sizes))
        rows.append([*of_regions, *np.bincount(mask.ravel(), minlength=256)[:classes]])
    return np.array(rows, np.int64).reshape(len(rows), 3 + classes)


def _statistics(sums: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the statistics ``(M, 3 + K)`` of summed counts ``(M, 3 + K)`` over numbers of masks ``(M,)``."""
    labelled = np.maximum(1, sums[:, 3:].sum(1, keepdims=True))
    return np.concatenate(
        [sums[:, :2] / labelled, sums[:, 2:3] / np.maximum(1, masks)[:, None], sums[:, 3:] / labelled], axis=1
    )


def within_range(statistics: Mapping[str, float], reference: Mapping[str, float]) -> dict[str, bool]:
    """Return for each statistic whether it lies within 0.67-1.5 times the reference's; shares count from 0.02 % up."""
    low, high = RANGE
    return {
        name: low * max(value, FLOOR) <= max(statistics[name], FLOOR) <= high * max(value, FLOOR)
        for name, value in reference.items()
    }


def _rows(inputs: MeasureInputs) -> Iterator[Row]:
    """Yield all statistics of all sets, with bootstrap intervals over scenes, or over masks where there are none."""
    names = statistic_names(inputs.class_names)
    for name, scenes in inputs.scenes.items():
        counts = _counts(inputs.masks[name], len(inputs.class_names))
        found = bootstrap_interval(counts, scenes, _statistics)
        for statistic, value, low, high in zip(names, *found, strict=True):
            yield Row(name, statistic, float(value), float(low), float(high))


MEASURE = Measure(
    name="mask_statistics",
    version=2,
    needs=frozenset({"masks"}),
    rows=_rows,
    headings={
        "isolated": Heading("isolated pixels, %", "scenes of the set", 100),
        "small": Heading(f"pixels in regions\nunder {SMALL_REGION} pixels, %", "scenes of the set", 100),
        "regions": Heading("regions per mask", "scenes of the set"),
    },
)
