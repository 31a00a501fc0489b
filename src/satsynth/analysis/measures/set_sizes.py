"""How many images each set has."""

from __future__ import annotations

from collections.abc import Iterator

from satsynth.analysis.measures.inputs import HALVES, MeasureInputs
from satsynth.analysis.measures.registry import Measure
from satsynth.analysis.measures.table import Row


def _rows(inputs: MeasureInputs) -> Iterator[Row]:
    for name in inputs.scenes:
        yield Row(name, "images", len(inputs.masks[name]))
    yield Row(HALVES, "images.first_half", int(inputs.halves.sum()))
    yield Row(HALVES, "images.second_half", int((~inputs.halves).sum()))


MEASURE = Measure(name="set_sizes", version=1, needs=frozenset({"masks"}), rows=_rows)
