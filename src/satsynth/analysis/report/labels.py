"""Budgets of labels side by side: mIoU by the number of labelled scenes, and what synthetic pairs are worth in labels.

Real pairs only give a curve: mIoU at R = 0 by the number of labelled training scenes. The difference that synthetic
pairs make moves a point of that curve up or down, and the curve says which number of scenes has that mIoU by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy.optimize import isotonic_regression

from satsynth.analysis.report import tables
from satsynth.analysis.report.page import Section
from satsynth.analysis.statistics.summary import Row, arm_title, single_seed, still_rising

# Values of mIoU that differ by less do so by rounding.
SAME = 1e-9
TEXT = (
    "For each share of the training scenes a generator was trained on its labelled scenes only, its pairs were drawn, "
    "and networks were trained without and with them. Smaller shares are parts of larger ones, in one order of the "
    "scenes (`tiling.label_seed`); another order may give another curve. Networks of larger shares have more "
    "steps, unless a floor or a number of images decides (`segmentation.training`): the curve is one of both."
)
CURVE = (
    "What pairs are worth in labels is read from the curve at R = 0, measured at {} labelled scenes: their difference "
    "to R = 0 is added to the curve, and the number of scenes is sought at which real pairs only reach that mIoU. "
    "Between the measured numbers the curve is interpolated, linearly in the logarithm of the number of scenes; beyond "
    "them it says nothing. Where a larger number had a lower mIoU, the curve runs through the mean of both, "
    "and these two are not read in labels."
)
INTERVALS = (
    "Ranges are those of the 95 % interval of the difference, over seeds and test scenes. They do not cover which "
    "scenes were labelled, nor the errors of the other points of the curve."
)
TOP = (
    "The share {:g} cannot be worth more labels than were measured: a gain there is given as more than {} scenes, "
    "however large it is."
)


class Budget(NamedTuple):
    """A budget of labels.

    Args:
        share: Share of the training scenes whose masks are used.
        scenes: Their number.
        pairs: Real training pairs cut from them.
    """

    share: float
    scenes: int
    pairs: int


class Labels(NamedTuple):
    """A number of labelled scenes, or the end of what was measured.

    Args:
        scenes: The number.
        beyond: ``more than`` or ``fewer than`` where it is an end and the number lies beyond it; else empty.
    """

    scenes: float
    beyond: str = ""

    def __str__(self) -> str:
        """Return it in words, as a whole number from ten on."""
        number = f"{self.scenes:.0f}" if self.scenes >= 10 else f"{self.scenes:.2g}"
        return f"{self.beyond} {number}".strip()


@dataclass(frozen=True)
class LabelCurve:
    """MIoU on real pairs only by the number of labelled scenes: non-decreasing, linear in its logarithm.

    Args:
        scenes: ``(N,)`` numbers of scenes, increasing.
        miou: ``(N,)`` mIoU there, in [0, 1], non-decreasing.
    """

    scenes: np.ndarray
    miou: np.ndarray

    @classmethod
    def through(cls, scenes: np.ndarray, miou: np.ndarray) -> LabelCurve:
        """Return the non-decreasing curve that is nearest to measured values ``(N,)``."""
        order = np.argsort(scenes)
        found = isotonic_regression(np.asarray(miou, float)[order]).x
        return cls(np.asarray(scenes, float)[order], found)

    @property
    def rises(self) -> bool:
        """Whether more scenes have a higher mIoU anywhere."""
        return bool(self.miou[-1] - self.miou[0] > SAME)

    def worth(self, own: float, change: float) -> Labels:
        """Return the number of scenes with the mIoU of some scenes plus a change.

        Of several such numbers the nearest to the own one is taken, so that no change is worth the own number.

        Args:
            own: One of the measured numbers of scenes.
            change: Difference of mIoU.
        """
        wanted = self.miou[np.searchsorted(self.scenes, own)] + change
        nearest = self.miou[np.abs(self.miou - wanted).argmin()]
        if abs(nearest - wanted) < SAME:
            wanted = nearest
        if wanted > self.miou[-1]:
            return Labels(float(self.scenes[-1]), "more than")
        if wanted < self.miou[0]:
            return Labels(float(self.scenes[0]), "fewer than")
        # The first and the last measured number between which the curve has that mIoU.
        after, before = np.searchsorted(self.miou, wanted, "left"), np.searchsorted(self.miou, wanted, "right") - 1
        if after <= before:
            return Labels(float(np.clip(own, self.scenes[after], self.scenes[before])))
        ends = [before, after]
        found = np.exp(np.interp(wanted, self.miou[ends], np.log(self.scenes[ends])))
        return Labels(float(np.clip(found, *self.scenes[ends])))


def budget_table(summaries: Mapping[Budget, pd.DataFrame]) -> pd.DataFrame:
    """Return the table `label_worth`: a row for each share, network and R.

    Args:
        summaries: Rows of `summarise` by budget.

    Returns:
        ``share, labelled_scenes, real_pairs`` (of train) and the columns of `summarise`, whose ``scenes`` are those of
        test.
    """
    parts = []
    for budget, summary in sorted(summaries.items(), key=lambda part: part[0]):
        part = summary.copy()
        for place, (name, value) in enumerate(zip(("share", "labelled_scenes", "real_pairs"), budget, strict=True)):
            part.insert(place, name, value)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def worth_rows(worth: pd.DataFrame) -> Iterator[Row]:
    """Yield what the pairs of each network, R and share are worth in labels.

    Args:
        worth: Rows of `budget_table`.

    Yields:
        ``network, ratio, labelled_scenes, difference, difference_low, difference_high``, and as `Labels` ``worth, low,
        high``: the last two are None where the difference has no interval, all of them where the curve does not go
        through the value at R = 0. One that came out too low would count twice for the pairs, by the difference to it
        and by a curve that hides it.
    """
    for _, part in worth.groupby("network", sort=False):
        curve = _real_curve(part)
        real = part[part["ratio"] == 0].set_index("labelled_scenes")["miou"]
        for _, row in part[part["ratio"] > 0].sort_values(["ratio", "labelled_scenes"]).iterrows():
            own = row["labelled_scenes"]
            in_order = abs(curve.miou[np.searchsorted(curve.scenes, own)] - real[own]) < SAME
            known = {
                name: curve.worth(own, row[column]) if in_order and not np.isnan(row[column]) else None
                for name, column in (("worth", "difference"), ("low", "difference_low"), ("high", "difference_high"))
            }
            same = ["network", "ratio", "labelled_scenes", "difference", "difference_low", "difference_high"]
            yield {**row[same], **known}


def _real_curve(worth: pd.DataFrame) -> LabelCurve:
    """Return the curve of one network at R = 0."""
    real = worth[worth["ratio"] == 0]
    return LabelCurve.through(real["labelled_scenes"].to_numpy(), real["miou"].to_numpy())


def worth_in_words(worth: pd.DataFrame) -> list[str]:
    """Return a sentence for each network, R and share: what its pairs are worth in labels.

    Of a network that more labels do not help it is said that nothing can be read from its curve.
    """
    sentences = []
    if worth["labelled_scenes"].nunique() < 2:
        return [
            f"Only one number of labelled scenes was measured, {worth['labelled_scenes'].iloc[0]}: there is no curve "
            "from which the worth of pairs in labels could be read. Name other shares in `labels.shares`."
        ]
    for network, part in worth.groupby("network", sort=False):
        if _real_curve(part).rises:
            sentences += [_sentence(row) for row in worth_rows(part)]
        else:
            sentences.append(
                f"{network}, R = 0: mIoU does not rise with the number of labelled scenes here, so these trainings do "
                "not show what pairs are worth in labels."
            )
    return sentences


def _sentence(row: Row) -> str:
    own, low, high, like = row["labelled_scenes"], row["low"], row["high"], str(row["worth"])
    with_pairs = f"{row['network']}, R = {row['ratio']:g}: {own} labelled scene{'s' if own > 1 else ''} with "
    with_pairs += f"synthetic pairs ({100 * row['difference']:+.2f} points)"
    if row["worth"] is None:
        return f"{with_pairs}: not read in labels, since mIoU at R = 0 is out of order with its neighbours here."
    if low is None:
        certain = "one seed and one test scene do not show how certain this is"
    else:
        certain = f"95 %: {low}" if low == high else f"95 %: {low} to {high}"
    if low is not None and row["difference_low"] <= 0 <= row["difference_high"]:
        certain += "; zero lies inside the interval of the difference, so this is no evidence of a change"
    verb, without = "are" if own > 1 else "is", "scene" if like.split()[-1] == "1" else "scenes"
    return f"{with_pairs} {verb} worth {like} {without} without ({certain})."


def score_table(worth: pd.DataFrame) -> pd.DataFrame:
    """Return share, labelled scenes, real pairs and scores, a row for each row of `budget_table`."""
    given = worth[["share", "labelled_scenes", "real_pairs"]].reset_index(drop=True)
    given.columns = [name.replace("_", " ") for name in given.columns]
    return pd.concat([given, tables.score_table(worth).reset_index(drop=True)], axis=1)


def rests_on(tiles: Mapping[str, str], worth: pd.DataFrame) -> dict[str, str]:
    """Return what a section rests on: the tiles of each share, and each mIoU that was measured with them.

    Args:
        tiles: Digests by share, as it is written in names.
        worth: The table `label_worth`.
    """
    return dict(tiles) | {f"{row['share']:.12g}: {point}": miou for row, point, miou in _points(worth)}


def fits(parents: Mapping[str, str], tiles: str, summary: pd.DataFrame) -> bool:
    """Return whether a section stands beside a report: tiles of one share, and the same trainings where both have some.

    Args:
        parents: What `rests_on` returned.
        tiles: Digest of the report's tiles.
        summary: The report's own rows of `summarise`.
    """
    shares = [name for name, digest in parents.items() if digest == tiles]
    found = [parents.get(f"{share}: {point}", miou) == miou for share in shares for _, point, miou in _points(summary)]
    return bool(found) and all(found)


def _points(summary: pd.DataFrame) -> Iterator[tuple[Row, str, str]]:
    """Yield rows of `summarise`, each with a name for what was trained and its mIoU in words."""
    for _, row in summary.iterrows():
        yield dict(row), f"{arm_title(dict(row))}, R = {row['ratio']:g}", f"{row['miou']:.9g}"


def _unfinished(worth: pd.DataFrame) -> list[str]:
    """Return at which numbers of labelled scenes R = 0 was still improving."""
    return [
        f"{scenes} labelled scene(s): {text}"
        for scenes, part in worth.groupby("labelled_scenes")
        for text in still_rising(part)
    ]


def labels_section(worth: pd.DataFrame, figure: go.Figure, starts: Mapping[str, str | None] | None = None) -> Section:
    """Return the section on budgets of labels.

    Args:
        worth: The table `label_worth`.
        figure: The figure `label_curve`.
        starts: What the generator of each share started from, as `start_named` says it.
    """
    measured = sorted(set(worth["labelled_scenes"]))
    text = [
        TEXT,
        *share_start_notes(starts or {}),
        *worth_in_words(worth),
        *single_seed(worth),
        *_unfinished(worth),
        CURVE.format(", ".join(str(number) for number in measured)),
        TOP.format(worth["share"].max(), measured[-1]),
        INTERVALS,
    ]
    return Section("Labels", text, [score_table(worth)], [figure])


def share_start_notes(starts: Mapping[str, str | None]) -> list[str]:
    """Return what the generators of the shares started from.

    Args:
        starts: What each started from, by share; None where from nothing.
    """
    if not starts:
        return []
    if len(set(starts.values())) == 1:
        (start,) = set(starts.values())
        if start is None:
            return ["No generator started from the weights of another one."]
        return [f"All generators started from the weights of `{start}`."]
    named = ", ".join(f"{share}: {f'`{start}`' if start else 'nothing'}" for share, start in starts.items())
    return [
        f"The generators did not start from the same weights, so shares differ in that too (share: start; {named}). "
        "With `diffusion.start_from=` all start from nothing."
    ]
