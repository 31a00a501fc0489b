"""Tables of class distributions and of adjacency of classes, by set of pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from satsynth.analysis.statistics.resampling import bootstrap_interval
from satsynth.pairs.regions import regions_of
from satsynth.work.ignore import IGNORE_INDEX

RESULT_VERSION = 10
STATISTICS = ("pixel_share", "image_share", "regions", "region_pixels")


def class_rows(
    name: str, masks: Iterable[np.ndarray], class_names: Sequence[str], scenes: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the class distribution of one set of masks.

    Args:
        name: Name of the set.
        masks: Masks ``(H, W)`` uint8 of class indices, 255 = ignore.
        class_names: Names in order of the class index.
        scenes: The scene of each mask; without, each mask is one of its own.

    Returns:
        A row for each class: ``split, class, pixel_share`` (of pixels not ignored), ``image_share`` (of masks with it),
        ``regions`` (connected, per mask), ``region_pixels`` (mean size, NaN without regions), and for each of
        these ``<column>_low`` and ``<column>_high``, a 95 % percentile interval from 1,000 resamples of the scenes, NaN
        for fewer than two scenes.
    """
    counts = np.stack([_class_counts(mask, len(class_names)) for mask in masks])
    values, low, high = bootstrap_interval(counts, scenes, _statistics)
    columns = {statistic: values[i] for i, statistic in enumerate(STATISTICS)}
    for i, statistic in enumerate(STATISTICS):
        columns |= {f"{statistic}_low": low[i], f"{statistic}_high": high[i]}
    return pd.DataFrame({"split": name, "class": list(class_names), **columns})


def adjacency_rows(
    name: str, masks: Iterable[np.ndarray], class_names: Sequence[str], scenes: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return how often two classes touch.

    Args:
        name: Name of the set.
        masks: Masks ``(H, W)`` uint8 of class indices, 255 = ignore.
        class_names: Names in order of the class index.
        scenes: The scene of each mask; without, each mask is one of its own.

    Returns:
        A row for each two different classes: ``split, class, neighbour, share`` of all pairs of pixels of different
        classes that lie side by side, horizontally or vertically, and ``share_low`` and ``share_high``, a 95 %
        percentile interval from 1,000 resamples of the scenes, NaN for fewer than two scenes.
    """
    counts = np.stack([adjacency_counts(mask, len(class_names)) for mask in masks])
    share, low, high = bootstrap_interval(
        counts, scenes, lambda sums, _: sums / np.maximum(sums.sum(1, keepdims=True), 1)
    )
    first, second = np.triu_indices(len(class_names), 1)
    names = np.array(class_names)
    return pd.DataFrame(
        {
            "split": name,
            "class": names[first],
            "neighbour": names[second],
            "share": share,
            "share_low": low,
            "share_high": high,
        }
    )


def _class_counts(mask: np.ndarray, classes: int) -> np.ndarray:
    """Return pixels, whether there are any, regions, and pixels in regions of each class, ``(4, K)`` int64."""
    pixels = np.bincount(mask.ravel(), minlength=256)[:classes]
    _, kinds, sizes = regions_of(mask)
    regions, inside = (np.bincount(kinds, weights, classes).astype(np.int64) for weights in (None, sizes))
    return np.stack([pixels, pixels > 0, regions, inside])


def adjacency_counts(mask: np.ndarray, classes: int) -> np.ndarray:
    """Return how many pairs of neighbouring pixels each two different classes have, ``(K (K - 1) / 2,)`` int64."""
    counts = np.zeros((classes, classes), np.int64)
    for one, other in ((mask[:, :-1], mask[:, 1:]), (mask[:-1], mask[1:])):
        known = (one != IGNORE_INDEX) & (other != IGNORE_INDEX) & (one != other)
        codes = one[known].astype(np.int64) * classes + other[known]
        counts += np.bincount(codes, minlength=classes**2).reshape(classes, classes)
    return (counts + counts.T)[np.triu_indices(classes, 1)]


def _statistics(sums: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the `STATISTICS` ``(N, 4, K)`` of summed counts ``(N, 4, K)`` over numbers of masks ``(N,)``."""
    pixels, present, regions, inside = sums.transpose(1, 0, 2)
    number = np.maximum(masks, 1)[:, None]
    return np.stack(
        [
            pixels / np.maximum(pixels.sum(1, keepdims=True), 1),
            present / number,
            regions / number,
            np.where(regions > 0, inside / np.maximum(regions, 1), np.nan),
        ],
        axis=1,
    )
