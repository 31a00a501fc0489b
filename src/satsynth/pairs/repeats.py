"""Tiles of different splits that show the same: images that were saved anew, which no digest of a file tells."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd

from satsynth.pairs.store import HELD_OUT_IMAGES, PairStore
from satsynth.scenes.splits import UNLABELLED

RESULT_VERSION = 1
# A tile is compared by its means over 8 x 8 cells. Between real tiles of different splits of Dubai and Blue Marble the
# nearest two with some contrast are 4 grey levels apart (root mean square).
CELLS = 8
FARTHEST = 2.0
# Standard deviation over the cells in grey levels. Below it tiles of open water are like one another.
LEAST_CONTRAST = 6.0
CHUNK = 512
HELD_OUT = ("val", "test")
COLUMNS = ["held_out", "split", "scene", "scene_split", "tiles"]


def cell_means(image: np.ndarray) -> np.ndarray:
    """Return the means of an image ``(H, W, 3)`` uint8 over 8 x 8 cells, ``(192,)`` float32 in grey levels."""
    return cv2.resize(image.astype(np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA).ravel()


def nearest(queries: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest reference to each query, and how far it is.

    Args:
        queries: ``(N, F)`` float32.
        references: ``(M, F)`` float32, at least one.

    Returns:
        Index ``(N,)`` and root mean square of the difference ``(N,)``.
    """
    norms, index = (references**2).sum(1), []
    for first in range(0, len(queries), CHUNK):
        index.append((norms - 2 * queries[first : first + CHUNK] @ references.T).argmin(1))
    found = np.concatenate(index) if index else np.zeros(0, np.int64)
    return found, np.sqrt(((queries - references[found]) ** 2).mean(1))


def repeated_scenes(tiles: PairStore) -> pd.DataFrame:
    """Return which scenes of val and test show what a scene of another split shows, tile by tile at the same place.

    Copies are found whatever their format, compression, metadata and name, if their tiles lie as those of the original
    do and no colours were changed. Tiles without contrast say nothing. Images that are known to show a held-out scene
    (`ingestion.held_out_images: use`) are left out.

    Args:
        tiles: Real pairs.

    Returns:
        A row for two scenes: the one that is held out and its split, the other and its split, and how many tiles of
        the former are found in the latter. Most tiles first.
    """
    index = tiles.index()
    means = np.stack([cell_means(image) for image, _ in tiles.arrays()])
    contrast = means.reshape(len(means), CELLS**2, 3).mean(2).std(1)
    known, rows = set(tiles.manifest.get(HELD_OUT_IMAGES, ())), []
    split, usable = index["split"].to_numpy(), contrast >= LEAST_CONTRAST
    for held_out, others in zip(HELD_OUT, (("train", UNLABELLED), ("train", UNLABELLED, "val")), strict=True):
        ours, theirs = (np.flatnonzero(usable & np.isin(split, names)) for names in ([held_out], others))
        if not len(theirs):
            continue
        found, distance = nearest(means[ours], means[theirs])
        for one, other in zip(ours[distance <= FARTHEST], theirs[found[distance <= FARTHEST]], strict=True):
            pair = (index["scene_id"][one], held_out, index["scene_id"][other], split[other])
            if pair[0] not in known or pair[3] != UNLABELLED:
                rows.append(pair)
    counted = pd.DataFrame(rows, columns=COLUMNS[:-1]).value_counts(COLUMNS[:-1]).rename("tiles").reset_index()
    return counted.sort_values(["tiles", "held_out", "scene"], ascending=[False, True, True], ignore_index=True)


def in_words(repeated: pd.DataFrame, shown: int = 5) -> str:
    """Return what `repeated_scenes` has found as a message, or nothing."""
    if repeated.empty:
        return ""
    found = "; ".join(
        f"'{row['scene']}' ({row['scene_split']}) shows {row['tiles']} tile(s) of '{row['held_out']}' ({row['split']})"
        for _, row in repeated.head(shown).iterrows()
    )
    more = f"; and {len(repeated) - shown} other pair(s) of scenes" if len(repeated) > shown else ""
    return (
        f"Scenes of different splits show the same, as an image that was saved anew does: {found}{more}. Scores on "
        "held-out scenes are too good then. Remove one scene of each pair, or put both into one split."
    )
