"""What masks look like: single pixels, small regions, class shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from satsynth.pairs.regions import regions_of

SMALL_REGION = 20
RANGE, FLOOR = (0.67, 1.5), 2e-4


def mask_statistics(masks: Iterable[np.ndarray], class_names: Sequence[str]) -> dict[str, float]:
    """Measure a set of masks.

    Args:
        masks: Masks ``(H, W)`` uint8 of class indices, 255 = ignore.
        class_names: Names in order of the class index.

    Returns:
        ``isolated`` (share of labelled pixels that are a region of their own), ``small`` (share in regions under 20
        pixels), ``regions`` (a mask), ``share.<class>`` (of labelled pixels).
    """
    classes = len(class_names)
    counts = np.zeros(classes, np.int64)
    isolated = small = regions = number = 0
    for mask in masks:
        counts += np.bincount(mask.ravel(), minlength=256)[:classes]
        sizes = regions_of(mask)[2]
        isolated += int((sizes == 1).sum())
        small += int(sizes[sizes < SMALL_REGION].sum())
        regions += len(sizes)
        number += 1
    labelled = max(1, int(counts.sum()))
    return {
        "isolated": isolated / labelled,
        "small": small / labelled,
        "regions": regions / max(1, number),
        **{f"share.{name}": float(count / labelled) for name, count in zip(class_names, counts, strict=True)},
    }


def class_shares(statistics: Mapping[str, float], class_names: Sequence[str]) -> np.ndarray:
    """Return the shares of the classes ``(K,)`` among the statistics of a set of masks."""
    return np.array([statistics[f"share.{name}"] for name in class_names])


def like(found: Mapping[str, float], reference: Mapping[str, float]) -> dict[str, bool]:
    """Return for each statistic whether it lies within 0.67-1.5 times the reference's; shares count from 0.02 % up."""
    low, high = RANGE
    return {
        name: low * max(value, FLOOR) <= max(found[name], FLOOR) <= high * max(value, FLOOR)
        for name, value in reference.items()
    }
