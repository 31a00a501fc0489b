"""The registry of measures: each module of this package with an object `MEASURE` is one, with a version of its own."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from typing import Any, Literal, NoReturn

import numpy as np
import pandas as pd

import satsynth.analysis.measures as package
from satsynth.analysis.measures.inputs import MeasureInputs
from satsynth.analysis.measures.table import Row, rows_table
from satsynth.analysis.settings import ComparisonSettings

Need = Literal["imagenet", "features", "images", "masks"]
# In the order of the report: features that never saw the data lead.
NEEDS: tuple[Need, ...] = ("imagenet", "features", "images", "masks")


def _no_settings(comparison: ComparisonSettings) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Heading:
    """How the report shows a measure.

    Args:
        title: Its title.
        interval: What its 95 % interval is over; empty where it has none.
        scale: What its values are multiplied by, such as 100 for percent.
    """

    title: str
    interval: str = ""
    scale: float = 1


@dataclass(frozen=True, eq=False)
class Measure:
    """A measure of fidelity.

    Args:
        name: Its name in the log and in the work folder.
        version: An integer, raised by a change of code that changes its rows.
        needs: What it reads of the sets; only one that needs features depends on the judge, and only one that
            needs imagenet on the weights of that network.
        rows: Measures all sets against the real training pairs. A row's set is one of `MeasureInputs`, or
            ``train_halves``: two halves of the training scenes against each other, the yardstick.
        headings: How the report shows its rows, by their measure; rows without a heading are in the table only.
        settings: Returns the parameters that change its rows, or None where the measure is switched off.
    """

    name: str
    version: int
    needs: frozenset[Need]
    rows: Callable[[MeasureInputs], Iterable[Row]]
    headings: Mapping[str, Heading] = field(default_factory=dict)
    settings: Callable[[ComparisonSettings], Mapping[str, Any] | None] = _no_settings

    def table(self, inputs: MeasureInputs) -> pd.DataFrame:
        """Return the rows as a table ``set, measure, value, low, high``.

        Raises:
            RuntimeError: The measure reads something that its `needs` do not name.
        """
        refused: dict[str, Any] = {need: _Undeclared(self.name, need) for need in NEEDS if need not in self.needs}
        return rows_table(self.rows(replace(inputs, **refused)))


class _Undeclared(Mapping[str, np.ndarray]):
    """Refuses to be read: remembered work would not notice that what was read has changed."""

    def __init__(self, measure: str, need: str) -> None:
        self._message = f"The measure '{measure}' reads {need}, which its `needs` do not name. Add '{need}' to them."

    def _refuse(self) -> NoReturn:
        raise RuntimeError(self._message)

    def __getitem__(self, name: str) -> np.ndarray:
        self._refuse()

    def __iter__(self) -> Iterator[str]:
        self._refuse()

    def __len__(self) -> int:
        self._refuse()


@cache
def all_measures() -> tuple[Measure, ...]:
    """Return all measures: those of features first, then of images, then of masks, each by name."""
    modules = (import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__))
    found = [measure for module in modules if isinstance(measure := getattr(module, "MEASURE", None), Measure)]
    return tuple(sorted(found, key=lambda measure: (min(map(NEEDS.index, measure.needs)), measure.name)))


def headings() -> dict[str, Heading]:
    """Return the headings of all measures that the report shows, in its order."""
    return {name: heading for measure in all_measures() for name, heading in measure.headings.items()}
