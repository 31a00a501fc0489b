"""Kernel distance in the features of an ImageNet network that never saw the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from satsynth.analysis.measures.inputs import MeasureInputs
from satsynth.analysis.measures.kernel_distance import kernel_rows
from satsynth.analysis.measures.registry import Heading, Measure
from satsynth.analysis.measures.table import Row
from satsynth.analysis.settings import ComparisonSettings
from satsynth.training.imagenet import weights_file

NAME = "imagenet_distance"


def settings_of(comparison: ComparisonSettings) -> dict[str, Any] | None:
    """Return no parameters; or None, which switches measures in these features off, where there are no weights."""
    return {} if comparison.imagenet and weights_file() is not None else None


def _rows(inputs: MeasureInputs) -> Iterator[Row]:
    return kernel_rows(NAME, inputs, inputs.imagenet)


MEASURE = Measure(
    name=NAME,
    version=1,
    needs=frozenset({"imagenet"}),
    rows=_rows,
    headings={NAME: Heading("kernel distance,\nImageNet features", "scenes of both sets")},
    settings=settings_of,
)
