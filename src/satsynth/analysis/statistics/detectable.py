"""What a grid of trainings can show at all, said before it is trained."""

from __future__ import annotations

import numpy as np
import pandas as pd

from satsynth.analysis.statistics.intervals import PerClass, least_standard_errors
from satsynth.analysis.statistics.summary import arm_title, compared

# A smallest detectable difference, and the arm that it belongs to.
Found = tuple[float, str]


def detectable(runs: pd.DataFrame, confusion: pd.DataFrame, per_class: PerClass, seeds: int, scenes: int) -> str:
    """Return in a sentence which difference to R = 0 is the smallest that a grid can tell from zero.

    It rests on the best that is known: differences of seeds that are done; else how trainings at R = 0 vary by seed;
    else only the quantile of the interval.

    Args:
        runs: Trainings of the grid that are done, as in `summarise`; none may be.
        confusion: As in `summarise`.
        per_class: As in `paired_interval`.
        seeds: Number of seeds of the grid.
        scenes: Number of test scenes with a label.
    """
    size = f"{_number(seeds, 'seed')} and {_number(scenes, 'test scene')}"
    factor = least_standard_errors(seeds, scenes)
    if np.isinf(factor):
        return f"{size} give no interval, so no difference can be shown"
    unknown = "one seed does not show how trainings vary"
    if seeds > 1:
        if found := _of_differences(runs, confusion, per_class, seeds):
            below = f"differences below about {_range(found)} cannot be shown"
            return f"with {size}, {below}, as the seeds that are done vary"
        if found := _of_real_pairs(runs, seeds, factor):
            reach = f"the 95 % interval of a difference reaches about {_range(found)} to either side"
            unknown = "less if they vary with those at R > 0, and what test scenes add is not known yet"
            return f"with {size}, {reach}, as trainings at R = 0 vary; {unknown}"
        unknown = "how large these are is known once two seeds are done"
    reach = f"the 95 % interval of a difference reaches at least {factor:.1f} standard errors to either side"
    return f"with {size}, {reach}; {unknown}"


def _of_differences(runs: pd.DataFrame, confusion: pd.DataFrame, per_class: PerClass, seeds: int) -> list[Found]:
    """Return what the differences to R = 0 of at least two finished seeds let expect, for each arm and ratio."""
    if not len(runs):
        return []
    return [
        (interval.expected_half_width(seeds), f"{arm_title(key)}, R = {key['ratio']:g}")
        for key, _, interval, _ in compared(runs, confusion, per_class)
        if interval is not None and interval.seeds > 1 and np.isfinite(interval.half_width)
    ]


def _of_real_pairs(runs: pd.DataFrame, seeds: int, factor: float) -> list[Found]:
    """Return what seeds let expect for each network and augmentation, if arms vary independently of one another."""
    found: list[Found] = []
    if not len(runs):
        return found
    for _, part in runs[runs["ratio"] == 0].groupby(["network", "augmentation"]):
        if len(part) > 1:
            error = np.sqrt(2 / seeds) * pd.to_numeric(part["miou"]).std(ddof=1)
            found.append((float(factor * error), arm_title(dict(part.iloc[0]))))
    return found


def _range(found: list[Found]) -> str:
    (least, first), (most, last) = min(found), max(found)
    low = f"{100 * least:.2f} points ({first})"
    return low if len(found) == 1 else f"{low} to {100 * most:.2f} points ({last})"


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
