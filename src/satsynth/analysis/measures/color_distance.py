"""Distance of the colours of two sets of images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from satsynth.analysis.measures.inputs import REFERENCE, MeasureInputs
from satsynth.analysis.measures.registry import Heading, Measure
from satsynth.analysis.measures.table import Row


def color_histogram(images: np.ndarray, bins: int = 32) -> np.ndarray:
    """Return the share of values in each bin of each channel, ``(3, bins)``, of images ``(N, H, W, 3)`` uint8."""
    flat = images.reshape(-1, 3)
    return np.stack([np.bincount(flat[:, c] // (256 // bins), minlength=bins) / len(flat) for c in range(3)])


def histogram_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean total variation distance of colour histograms ``(3, bins)``, in [0, 1]."""
    return float(np.abs(a - b).sum(1).mean() / 2)


def _rows(inputs: MeasureInputs) -> Iterator[Row]:
    """Yield distances without intervals: sums of absolute differences are biased upwards, more so when resampled."""
    reference = color_histogram(inputs.images[REFERENCE])
    for name in inputs.compared:
        yield Row(name, "color_distance", histogram_distance(reference, color_histogram(inputs.images[name])))


MEASURE = Measure(
    name="color_distance",
    version=1,
    needs=frozenset({"images"}),
    rows=_rows,
    headings={"color_distance": Heading("colour distance")},
)
