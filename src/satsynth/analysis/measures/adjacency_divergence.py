"""Divergence of adjacency: do the same classes touch as often as in the training pairs?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from satsynth.analysis.measures.distributions import adjacency_counts
from satsynth.analysis.measures.inputs import MeasureInputs
from satsynth.analysis.measures.jensen_shannon import divergence_rows
from satsynth.analysis.measures.registry import Heading, Measure
from satsynth.analysis.measures.table import Row


def _rows(inputs: MeasureInputs) -> Iterator[Row]:
    classes = len(inputs.class_names)
    counts = {
        name: np.sum([adjacency_counts(mask, classes) for mask in inputs.masks[name]], axis=0) for name in inputs.scenes
    }
    yield from divergence_rows("adjacency_divergence", counts)


MEASURE = Measure(
    name="adjacency_divergence",
    version=1,
    needs=frozenset({"masks"}),
    rows=_rows,
    headings={"adjacency_divergence": Heading("divergence of\nadjacent classes, bit")},
)
