"""Connected regions of one class in masks."""

from __future__ import annotations

import cv2
import numpy as np

from satsynth.work.ignore import IGNORE_INDEX


def regions_of(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the connected regions (8 neighbours) of each class.

    Args:
        mask: ``(H, W)`` uint8 of class indices. Ignored pixels (255) belong to no region.

    Returns:
        Index of each pixel's region ``(H, W)`` int32, -1 where ignored; class ``(N,)`` and size in pixels ``(N,)`` of
        each region.
    """
    numbers = np.full(mask.shape, -1, np.int32)
    classes, sizes, first = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for k in np.unique(mask):
        if k == IGNORE_INDEX:
            continue
        count, labels, stats, _ = cv2.connectedComponentsWithStats((mask == k).astype(np.uint8), connectivity=8)
        inside = labels > 0
        numbers[inside] = labels[inside] + (first - 1)
        classes.append(np.full(count - 1, k, np.int64))
        sizes.append(stats[1:, cv2.CC_STAT_AREA].astype(np.int64))
        first += count - 1
    return numbers, np.concatenate(classes), np.concatenate(sizes)


def without_small_regions(mask: np.ndarray, smallest: int) -> np.ndarray:
    """Replace the class of small regions by the nearest class.

    Args:
        mask: ``(H, W)`` uint8 of class indices, 255 = ignore. Ignored pixels stay and are never the nearest class.
        smallest: Regions with fewer pixels than this are small.

    Returns:
        ``(H, W)`` uint8. The mask is returned unchanged if all its regions are small.
    """
    numbers, _, sizes = regions_of(mask)
    small = np.append(sizes < smallest, False)[numbers]
    known = ~small & (mask != IGNORE_INDEX)
    if not small.any() or not known.any():
        return mask
    from scipy import ndimage

    rows, columns = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return np.where(small, mask[rows, columns], mask)
