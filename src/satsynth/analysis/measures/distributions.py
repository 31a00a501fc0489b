"""Class distributions of sets of pairs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from satsynth.pairs.regions import regions_of
from satsynth.work.ignore import IGNORE_INDEX

RESAMPLES = 1000
MOST_DRAWN = 10**7
MEASURES = ("pixel_share", "image_share", "regions", "region_pixels")
# Sums of counts and numbers of masks, each with a leading axis of resamples, to what is measured.
Measure = Callable[[np.ndarray, np.ndarray], np.ndarray]


def class_rows(
    name: str, masks: Iterable[np.ndarray], class_names: Sequence[str], scenes: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the class distribution of one set of masks.

    Args:
        name: Name of the set.
        masks: Masks ``(H, W)`` uint8 of class indices, 255 = ignore.
        class_names: Names in order of the class index.
        scenes: The scene of each mask; each mask is one of its own without.

    Returns:
        A row a class: ``split, class, pixel_share`` (of pixels not ignored), ``image_share`` (of masks that hold it),
        ``regions`` (connected, for each mask), ``region_pixels`` (mean size, NaN without regions), and for each of
        these ``<measure>_low`` and ``<measure>_high``, a 95 % percentile interval from 1,000 resamples of the scenes.
    """
    counts = np.stack([_class_counts(mask, len(class_names)) for mask in masks])
    found, low, high = _with_interval(counts, scenes, _measures)
    columns = {measure: found[i] for i, measure in enumerate(MEASURES)}
    for i, measure in enumerate(MEASURES):
        columns |= {f"{measure}_low": low[i], f"{measure}_high": high[i]}
    return pd.DataFrame({"split": name, "class": list(class_names), **columns})


def adjacency_rows(
    name: str, masks: Iterable[np.ndarray], class_names: Sequence[str], scenes: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return how often two classes touch.

    Args:
        name: Name of the set.
        masks: Masks ``(H, W)`` uint8 of class indices, 255 = ignore.
        class_names: Names in order of the class index.
        scenes: The scene of each mask; each mask is one of its own without.

    Returns:
        A row for each two different classes: ``split, class, neighbour, share`` of all pairs of pixels of different
        classes that lie side by side, horizontally or vertically, and ``share_low`` and ``share_high``, a 95 %
        percentile interval from 1,000 resamples of the scenes.
    """
    counts = np.stack([_adjacency_counts(mask, len(class_names)) for mask in masks])
    share, low, high = _with_interval(counts, scenes, lambda sums, _: sums / np.maximum(sums.sum(1, keepdims=True), 1))
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


def adjacency_sums(masks: Iterable[np.ndarray], classes: int) -> np.ndarray:
    """Return how many pairs of neighbouring pixels each two different classes have in all, ``(K (K - 1) / 2,)``."""
    sums = np.zeros(classes * (classes - 1) // 2, np.int64)
    for mask in masks:
        sums += _adjacency_counts(mask, classes)
    return sums


def _adjacency_counts(mask: np.ndarray, classes: int) -> np.ndarray:
    """Return how many pairs of neighbouring pixels each two different classes have, ``(K (K - 1) / 2,)`` int64."""
    counts = np.zeros((classes, classes), np.int64)
    for one, other in ((mask[:, :-1], mask[:, 1:]), (mask[:-1], mask[1:])):
        known = (one != IGNORE_INDEX) & (other != IGNORE_INDEX) & (one != other)
        codes = one[known].astype(np.int64) * classes + other[known]
        counts += np.bincount(codes, minlength=classes**2).reshape(classes, classes)
    return (counts + counts.T)[np.triu_indices(classes, 1)]


def _measures(sums: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the `MEASURES` ``(N, 4, K)`` of summed counts ``(N, 4, K)`` over numbers of masks ``(N,)``."""
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


def _with_interval(counts: np.ndarray, scenes: Sequence[str] | None, measure: Measure) -> np.ndarray:
    """Return a measure of summed counts and the ends of its interval over scenes, ``(3, ...)``.

    Args:
        counts: ``(N, ...)`` counts of each mask.
        scenes: The scene of each mask; each mask is one of its own without.
        measure: Maps sums ``(M, ...)`` and numbers of masks ``(M,)`` to ``(M, ...)``; NaN where there is nothing to
            measure, which the interval leaves out.
    """
    named = list(scenes) if scenes is not None else [str(i) for i in range(len(counts))]
    order = {scene: i for i, scene in enumerate(dict.fromkeys(named))}
    place = np.array([order[scene] for scene in named])
    sums = np.zeros((len(order), *counts.shape[1:]), np.int64)
    np.add.at(sums, place, counts)
    number = np.bincount(place)
    found = measure(sums.sum(0)[None], np.array([number.sum()]))[0]
    # Resampled in parts, so that memory is bounded.
    random, parts = np.random.default_rng(0), []
    at_once = max(1, MOST_DRAWN // len(order))
    for first in range(0, RESAMPLES, at_once):
        size = min(at_once, RESAMPLES - first)
        drawn = random.multinomial(len(order), np.full(len(order), 1 / len(order)), size)
        parts.append(measure(np.tensordot(drawn, sums, 1), drawn @ number))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")
        low, high = np.nanquantile(np.concatenate(parts), [0.025, 0.975], axis=0)
    return np.stack([found, low, high])


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """Return the Jensen-Shannon divergence of two distributions ``(K,)`` in bits, in [0, 1]; NaN if one is all zero."""
    if not p.any() or not q.any():
        return float("nan")
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2

    def part(a: np.ndarray) -> float:
        some = a > 0
        return float((a[some] * np.log2(a[some] / middle[some])).sum())

    return max(0.0, (part(p) + part(q)) / 2)


def divergences(shares: Mapping[str, np.ndarray], reference: str = "train") -> dict[str, float]:
    """Return the Jensen-Shannon divergence (bits) of each set's shares to the reference's.

    Args:
        shares: Shares or counts ``(K,)`` by name of the set.
        reference: Name of the set that the others are compared with.
    """
    return {name: jensen_shannon(share, shares[reference]) for name, share in shares.items() if name != reference}
