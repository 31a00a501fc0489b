"""Tiles of different splits that show the same: images that were saved anew, which no digest of a file tells."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd

from satsynth.pairs.pair import decode_image
from satsynth.pairs.store import HELD_OUT_IMAGES, PairStore
from satsynth.scenes.splits import HELD_OUT, UNLABELLED

RESULT_VERSION = 1
# A tile is compared by its means over 8 x 8 cells. Of tiles of 128 pixels of Dubai and Blue Marble, two of different
# splits with some contrast are at least 4 grey levels apart (root mean square).
CELLS = 8
FARTHEST = 2.0
# Standard deviation over the cells in grey levels. Below it tiles of open water are like one another.
LEAST_CONTRAST = 6.0
# Distances at once.
MOST = 1 << 24
COLUMNS = ["held_out", "split", "scene", "scene_split"]


def cell_means(image: np.ndarray) -> np.ndarray:
    """Return the means of an image ``(H, W, 3)`` uint8 over 8 x 8 cells, ``(192,)`` float32 in grey levels."""
    return cv2.resize(image.astype(np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA).ravel()


def nearest(queries: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return index and distance (root mean square) of the nearest reference to any view of each query.

    Args:
        queries: ``(N, V, F)`` float32.
        references: ``(M, V, F)`` float32; only the first view of each is used.

    Returns:
        Index ``(N,)`` and distance ``(N,)``.
    """
    base = references[:, 0]
    norms = (base**2).sum(1)
    chunk = max(1, MOST // (queries.shape[1] * len(references)))
    index, distance = [], []
    for first in range(0, len(queries), chunk):
        views = queries[first : first + chunk]
        squares = (views**2).sum(2)[:, :, None] + norms - 2 * np.einsum("nvf,mf->nvm", views, base, optimize=True)
        winner = squares.min(1).argmin(1)
        index.append(winner)
        # Computed again as a difference: the expanded square loses small distances, and a copy has exactly zero.
        distance.append(np.sqrt(((views - base[winner][:, None]) ** 2).mean(2).min(1)))
    return np.concatenate(index), np.concatenate(distance)


def repeated_scenes(tiles: PairStore) -> pd.DataFrame:
    """Return which scenes of val and test have tiles that look like one of a scene of another split.

    Copies are found whatever their format, metadata and name, and in all but the strongest compression, if their tiles
    are cut as those of the original are and no colours were changed. Tiles without contrast say nothing. A scene that
    unlabelled images are known to show (`ingestion.held_out_images: use`) is not compared with unlabelled ones.

    Args:
        tiles: Real pairs.

    Returns:
        A row for two scenes: the one that is held out, its split, the other and its split; and ``tiles``, how many
        tiles of the former have their like in the latter. Most tiles first.
    """
    index, known = tiles.index(), list(tiles.manifest.get(HELD_OUT_IMAGES, ()))
    means = np.stack([cell_means(decode_image(image)) for _, image, _ in tiles.pictures()])
    contrast = means.reshape(len(means), CELLS**2, 3).mean(2).std(1)
    split, usable = index["split"].to_numpy(), contrast >= LEAST_CONTRAST
    shown, rows = index["scene_id"].isin(known).to_numpy(), []
    for held_out, others in zip(HELD_OUT, (("train",), ("train", "val")), strict=True):
        for chosen, beside in ((shown, others), (~shown, (*others, UNLABELLED))):
            ours = np.flatnonzero(usable & chosen & (split == held_out))
            theirs = np.flatnonzero(usable & np.isin(split, beside))
            if not (len(ours) and len(theirs)):
                continue
            found, distance = nearest(means[ours][:, None], means[theirs][:, None])
            near = distance <= FARTHEST
            rows += [
                (index["scene_id"][one], held_out, index["scene_id"][other], split[other])
                for one, other in zip(ours[near], theirs[found[near]], strict=True)
            ]
    counted = pd.DataFrame(rows, columns=COLUMNS).value_counts(COLUMNS).rename("tiles").reset_index()
    return counted.sort_values(["tiles", "held_out", "scene"], ascending=[False, True, True], ignore_index=True)


def in_words(repeated: pd.DataFrame, shown: int = 5) -> str:
    """Return what `repeated_scenes` has found as a message, or nothing."""
    if repeated.empty:
        return ""
    found = "; ".join(
        f"'{row['scene']}' ({row['scene_split']}) has the like of {row['tiles']} tile(s) of '{row['held_out']}' "
        f"({row['split']})"
        for _, row in repeated.head(shown).iterrows()
    )
    more = f"; and {len(repeated) - shown} other pair(s) of scenes" if len(repeated) > shown else ""
    return (
        f"Scenes of different splits show the same, perhaps because an image was saved twice: {found}{more}. Scores on "
        "held-out scenes are then too high. Remove one scene of each pair, or put both into one split."
    )
