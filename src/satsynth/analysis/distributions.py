"""Class distributions of sets of pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from satsynth.pairs.regions import regions_of


def class_rows(name: str, masks: Iterable[np.ndarray], class_names: Sequence[str]) -> pd.DataFrame:
    """Return the class distribution of one set of masks.

    Args:
        name: Name of the set.
        masks: Masks ``(H, W)`` uint8 of class indices, 255 = ignore.
        class_names: Names in order of the class index.

    Returns:
        A row a class: ``split, class, pixel_share`` (of pixels not ignored), ``image_share`` (of masks that hold it),
        ``regions`` (connected, for each mask), ``region_pixels`` (mean size).
    """
    classes = len(class_names)
    pixels, images, regions, sizes = (np.zeros(classes, np.int64) for _ in range(4))
    number = 0
    for mask in masks:
        counts = np.bincount(mask.ravel(), minlength=256)[:classes]
        _, kinds, found_sizes = regions_of(mask)
        found, size = (np.bincount(kinds, weights, classes).astype(np.int64) for weights in (None, found_sizes))
        pixels, images, regions, sizes = pixels + counts, images + (counts > 0), regions + found, sizes + size
        number += 1
    return pd.DataFrame(
        {
            "split": name,
            "class": list(class_names),
            "pixel_share": pixels / max(1, pixels.sum()),
            "image_share": images / max(1, number),
            "regions": regions / max(1, number),
            "region_pixels": sizes / np.maximum(regions, 1),
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


def divergences(table: pd.DataFrame, reference: str = "train") -> dict[str, float]:
    """Return the Jensen-Shannon divergence (bits) of each set's pixel shares to the reference's, from `class_rows`."""
    shares = {str(name): part["pixel_share"].to_numpy() for name, part in table.groupby("split", sort=False)}
    return {name: jensen_shannon(share, shares[reference]) for name, share in shares.items() if name != reference}
