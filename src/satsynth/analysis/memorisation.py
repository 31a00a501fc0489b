"""Are synthetic images copies? Distances to the nearest real training image, beside those of real held-out images."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pandas as pd

THUMBNAIL = 16


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Return images ``(N, H, W, 3)`` uint8 at 16 x 16 by area, as ``(N, 8, 768)`` float32: the 8 symmetries of each.

    Training flips and rotates, so a copy may be flipped or rotated.
    """
    found = []
    for image in images:
        reduced = cv2.resize(np.ascontiguousarray(image), (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
        small = reduced.astype(np.float32) / 255
        turned = [np.rot90(side, k) for side in (small, small[:, ::-1]) for k in range(4)]
        found.append([view.ravel() for view in turned])
    return np.asarray(found, np.float32)


def nearest(queries: np.ndarray, references: np.ndarray, chunk: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Return index and distance (root mean square, in [0, 1]) of the nearest reference under any symmetry.

    Args:
        queries: ``(N, 8, F)`` from `thumbnails`.
        references: ``(M, 8, F)``; only the first view of each is used.
        chunk: Queries at once.

    Returns:
        Index ``(N,)`` and distance ``(N,)``.
    """
    base = references[:, 0]
    norms = (base**2).sum(1)
    index, distance = [], []
    for first in range(0, len(queries), chunk):
        views = queries[first : first + chunk]
        squares = (views**2).sum(2)[:, :, None] + norms - 2 * np.einsum("nvf,mf->nvm", views, base, optimize=True)
        winner = squares.min(1).argmin(1)
        index.append(winner)
        # Taken again as a difference: the expanded square rounds away small distances, and a copy has exactly zero.
        distance.append(np.sqrt(((views - base[winner][:, None]) ** 2).mean(2).min(1)))
    return np.concatenate(index), np.concatenate(distance)


def neighbours(
    synthetic: np.ndarray,
    train: np.ndarray,
    held_out: np.ndarray,
    synthetic_ids: Sequence[str],
    train_ids: Sequence[str],
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return the nearest training image of each synthetic one, and a summary with held-out images as the yardstick.

    A synthetic image counts as suspicious when it is nearer to a training image than 99 % of the held-out images are.

    Args:
        synthetic: ``(N, H, W, 3)`` uint8.
        train: ``(M, H, W, 3)`` uint8.
        held_out: ``(L, H, W, 3)`` uint8, real images that the generator never saw.
        synthetic_ids: N names.
        train_ids: M names.
    """
    views, base, yard = thumbnails(synthetic), thumbnails(train), thumbnails(held_out)
    index, distance = nearest(views, base)
    _, usual = nearest(yard, base)
    limit = float(np.quantile(usual, 0.01))
    table = pd.DataFrame(
        {
            "pair_id": list(synthetic_ids),
            "nearest": [train_ids[i] for i in index],
            "distance": distance,
            "suspicious": distance < limit,
        }
    ).sort_values("distance", ignore_index=True)
    summary = {
        "median_distance": float(np.median(distance)),
        "median_distance_held_out": float(np.median(usual)),
        "suspicious_below": limit,
        "suspicious_share": float(np.mean(distance < limit)),
    }
    return table, summary
