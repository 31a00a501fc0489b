"""Class distributions of sets of pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from satsynth.pairs.regions import regions_of
from satsynth.scenes.description import IGNORE_INDEX

RESAMPLES = 1000
MOST_DRAWN = 10**7
MEASURES = ("pixel_share", "image_share", "regions", "region_pixels")


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
        ``regions`` (connected, for each mask), ``region_pixels`` (mean size), and for each of these ``<measure>_low``
        and ``<measure>_high``, a 95 % percentile interval from 1,000 resamples of the scenes.
    """
    counts = np.stack([_class_counts(mask, len(class_names)) for mask in masks])
    named = list(scenes) if scenes is not None else [str(i) for i in range(len(counts))]
    order = {scene: i for i, scene in enumerate(dict.fromkeys(named))}
    place = np.array([order[scene] for scene in named])
    # One table a scene: its sums over masks.
    sums = np.zeros((place.max() + 1, *counts.shape[1:]), np.int64)
    np.add.at(sums, place, counts)
    number = np.bincount(place)
    low, high = np.quantile(_resampled(sums, number), [0.025, 0.975], axis=0)
    found = _measures(sums.sum(0)[None], np.array([number.sum()]))[0]
    columns = {measure: found[i] for i, measure in enumerate(MEASURES)}
    for i, measure in enumerate(MEASURES):
        columns |= {f"{measure}_low": low[i], f"{measure}_high": high[i]}
    return pd.DataFrame({"split": name, "class": list(class_names), **columns})


def _class_counts(mask: np.ndarray, classes: int) -> np.ndarray:
    """Return pixels, whether there are any, regions, and pixels in regions of each class, ``(4, K)`` int64."""
    pixels = np.bincount(mask.ravel(), minlength=256)[:classes]
    _, kinds, sizes = regions_of(mask)
    regions, inside = (np.bincount(kinds, weights, classes).astype(np.int64) for weights in (None, sizes))
    return np.stack([pixels, pixels > 0, regions, inside])


def _resampled(sums: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return the `MEASURES` ``(1000, 4, K)`` of resampled scenes, in bounded memory.

    Args:
        sums: ``(G, 4, K)`` counts of each scene.
        number: ``(G,)`` masks of each scene.
    """
    random, scenes = np.random.default_rng(0), len(number)
    at_once = max(1, MOST_DRAWN // scenes)
    found = []
    for first in range(0, RESAMPLES, at_once):
        drawn = random.multinomial(scenes, np.full(scenes, 1 / scenes), min(at_once, RESAMPLES - first))
        found.append(_measures(np.tensordot(drawn, sums, 1), drawn @ number))
    return np.concatenate(found)


def _measures(sums: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the `MEASURES` ``(N, 4, K)`` of summed counts ``(N, 4, K)`` over numbers of masks ``(N,)``."""
    pixels, present, regions, inside = sums.transpose(1, 0, 2)
    number = np.maximum(masks, 1)[:, None]
    return np.stack(
        [
            pixels / np.maximum(pixels.sum(1, keepdims=True), 1),
            present / number,
            regions / number,
            inside / np.maximum(regions, 1),
        ],
        axis=1,
    )


def adjacency_rows(name: str, masks: Iterable[np.ndarray], class_names: Sequence[str]) -> pd.DataFrame:
    """Return how often two classes touch.

    Args:
        name: Name of the set.
        masks: Masks ``(H, W)`` uint8 of class indices, 255 = ignore.
        class_names: Names in order of the class index.

    Returns:
        A row for each two different classes: ``split, class, neighbour, share`` of all pairs of pixels of different
        classes that lie side by side, horizontally or vertically.
    """
    classes = len(class_names)
    counts = np.zeros((classes, classes), np.int64)
    for mask in masks:
        for one, other in ((mask[:, :-1], mask[:, 1:]), (mask[:-1], mask[1:])):
            known = (one != IGNORE_INDEX) & (other != IGNORE_INDEX) & (one != other)
            codes = one[known].astype(np.int64) * classes + other[known]
            counts += np.bincount(codes, minlength=classes**2).reshape(classes, classes)
    both = counts + counts.T
    first, second = np.triu_indices(classes, 1)
    return pd.DataFrame(
        {
            "split": name,
            "class": np.array(class_names)[first],
            "neighbour": np.array(class_names)[second],
            "share": both[first, second] / max(1, both[first, second].sum()),
        }
    )


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


def divergences(table: pd.DataFrame, column: str = "pixel_share", reference: str = "train") -> dict[str, float]:
    """Return the Jensen-Shannon divergence (bits) of a column of shares of each set to the reference's.

    Args:
        table: Rows of `class_rows` or `adjacency_rows`.
        column: ``pixel_share`` or ``share``.
        reference: Name of the set that the others are compared with.
    """
    shares = {str(name): part[column].to_numpy() for name, part in table.groupby("split", sort=False)}
    return {name: jensen_shannon(share, shares[reference]) for name, share in shares.items() if name != reference}
