"""Divergence of class shares: does the set have each class as often as the training pairs?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from satsynth.analysis.measures.inputs import MeasureInputs
from satsynth.analysis.measures.jensen_shannon import divergence_rows
from satsynth.analysis.measures.registry import Heading, Measure
from satsynth.analysis.measures.table import Row


def class_shares(masks: np.ndarray, classes: int) -> np.ndarray:
    """Return the share of each class ``(K,)`` in the labelled pixels of masks ``(N, H, W)`` uint8."""
    counts = np.zeros(classes, np.int64)
    for mask in masks:
        counts += np.bincount(mask.ravel(), minlength=256)[:classes]
    return counts / max(1, int(counts.sum()))


def _rows(inputs: MeasureInputs) -> Iterator[Row]:
    shares = {name: class_shares(inputs.masks[name], len(inputs.class_names)) for name in inputs.scenes}
    yield from divergence_rows("class_divergence", shares)


MEASURE = Measure(
    name="class_divergence",
    version=1,
    needs=frozenset({"masks"}),
    rows=_rows,
    headings={"class_divergence": Heading("divergence of\nclass shares, bit")},
)
