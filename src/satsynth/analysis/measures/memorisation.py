"""Are synthetic images copies? Distances to the nearest real training image, beside those of real held-out images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd

from satsynth.analysis.measures.feature_space import units_of
from satsynth.pairs.repeats import nearest

RESULT_VERSION = 9
THUMBNAIL = 16


def thumbnails(images: np.ndarray, views: int = 8) -> np.ndarray:
    """Return images ``(N, H, W, 3)`` uint8 at 16 x 16 by area, as ``(N, views, 768)`` float32.

    Args:
        images: The images.
        views: How many of the 8 symmetries of each; the first is the image itself.
    """
    found = np.empty((len(images), views, THUMBNAIL**2 * 3), np.float32)
    for place, image in zip(found, images, strict=True):
        reduced = cv2.resize(np.ascontiguousarray(image), (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
        for row, view in zip(place, symmetries(reduced.astype(np.float32) / 255), strict=False):
            row[:] = view.ravel()
    return found


def symmetries(image: np.ndarray) -> list[np.ndarray]:
    """Return an image ``(H, H, 3)`` in the 8 symmetries of the square, since training flips and rotates."""
    return [np.rot90(side, k) for side in (image, image[:, ::-1]) for k in range(4)]


@dataclass(frozen=True)
class Space:
    """Vectors of three sets of images, among which copies are searched.

    Args:
        synthetic: ``(N, V, F)``, V views of each.
        train: ``(M, V, F)``; only the first view of each is used.
        held_out: ``(L, V, F)``, of real images that the generator never saw.
    """

    synthetic: np.ndarray
    train: np.ndarray
    held_out: np.ndarray


def spaces_of(
    synthetic: np.ndarray, train: np.ndarray, held_out: np.ndarray, features: Callable[[np.ndarray], np.ndarray]
) -> dict[str, Space]:
    """Return images ``(N, H, H, 3)`` uint8 of three sets as vectors in `pixels` and in `features`.

    Args:
        synthetic: Images that may be copies.
        train: Images that they may be copies of; one view of each is enough, and there may be very many of them.
        held_out: Real images that the generator never saw.
        features: Maps images to features ``(N, F)``.
    """
    known = features(train)
    mean, std = units_of(known)

    def views(images: np.ndarray) -> np.ndarray:
        turned = zip(*(symmetries(image) for image in images), strict=True)
        return np.stack([(features(np.stack(view)) - mean) / std for view in turned], axis=1)

    return {
        "pixels": Space(thumbnails(synthetic), thumbnails(train, views=1), thumbnails(held_out)),
        "features": Space(views(synthetic), ((known - mean) / std)[:, None], views(held_out)),
    }


def neighbours(
    spaces: Mapping[str, Space], synthetic_ids: Sequence[str], train_ids: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """Return the nearest training image of each synthetic one, and a summary with held-out images as the yardstick.

    A synthetic image counts as suspicious when it is closer to a training image than 99 % of the held-out images are.

    Args:
        spaces: The spaces in which distances are measured, by name.
        synthetic_ids: N names.
        train_ids: M names.

    Returns:
        A row for each synthetic image and space, ``space, pair_id, nearest, distance, suspicious``, the closest first;
        and for each space ``median_distance, median_distance_held_out, suspicious_below, suspicious_share``.
    """
    tables, summary = [], {}
    for name, space in spaces.items():
        index, distance = nearest(space.synthetic, space.train)
        usual = nearest(space.held_out, space.train)[1]
        limit = float(np.quantile(usual, 0.01))
        table = pd.DataFrame(
            {
                "space": name,
                "pair_id": list(synthetic_ids),
                "nearest": [train_ids[i] for i in index],
                "distance": distance,
                "suspicious": distance < limit,
            }
        )
        tables.append(table.sort_values("distance", ignore_index=True))
        summary[name] = {
            "median_distance": float(np.median(distance)),
            "median_distance_held_out": float(np.median(usual)),
            "suspicious_below": limit,
            "suspicious_share": float(np.mean(distance < limit)),
        }
    return pd.concat(tables, ignore_index=True), summary
