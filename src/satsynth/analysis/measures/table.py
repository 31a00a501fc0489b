"""The long table of measures: a row for each set and measure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

UNKNOWN = float("nan")


class Row(NamedTuple):
    """One value.

    Args:
        set: Name of the set of pairs.
        measure: Name of the measure.
        value: What was measured; NaN where it is not defined.
        low: Lower end of the 95 % interval; NaN where there is none.
        high: Upper end.
    """

    set: str
    measure: str
    value: float
    low: float = UNKNOWN
    high: float = UNKNOWN


def rows_table(rows: Iterable[Row]) -> pd.DataFrame:
    """Return rows as a table ``set, measure, value, low, high``.

    An interval of no width becomes unknown: where no image differs, as at a share of 0 or 1, resampling says nothing.
    """
    table = pd.DataFrame(list(rows), columns=list(Row._fields))
    table = table.astype({"set": str, "measure": str, "value": float, "low": float, "high": float})
    table.loc[table["low"] == table["high"], ["low", "high"]] = UNKNOWN
    return table


def rows_of(table: pd.DataFrame) -> list[Row]:
    """Return the rows of a table of measures."""
    columns = (table[name].tolist() for name in Row._fields)
    return [Row(*values) for values in zip(*columns, strict=True)]


def values_of(table: pd.DataFrame, measure: str) -> dict[str, float]:
    """Return the value of a measure by set; empty where it was not measured."""
    rows = table[table["measure"] == measure]
    return dict(zip(rows["set"], rows["value"].astype(float), strict=True))


def row_of(table: pd.DataFrame, measure: str, name: str) -> Row:
    """Return the row of a measure and a set; all NaN where it was not measured."""
    rows = table[(table["measure"] == measure) & (table["set"] == name)]
    if not len(rows):
        return Row(name, measure, UNKNOWN)
    return Row(name, measure, *(float(rows[column].iloc[0]) for column in ("value", "low", "high")))
