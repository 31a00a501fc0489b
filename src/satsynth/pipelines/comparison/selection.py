"""Which pairs of a store are measured."""

from __future__ import annotations

import numpy as np

from satsynth.pairs.cache import decoded
from satsynth.pairs.store import PairStore
from satsynth.pairs.tiling import comparable_rows
from satsynth.work.errors import SatSynthError
from satsynth.work.workspace import Workspace

MOST_IMAGES = 5000


def evenly(number: int, most: int) -> np.ndarray:
    """Return at most ``most`` numbers below ``number``, evenly spread."""
    return np.linspace(0, number - 1, min(number, most)).round().astype(int)


def chosen_rows(store: PairStore, split: str) -> np.ndarray:
    """Return the pairs of a split that are measured: comparable with training tiles, and not too many."""
    rows = np.arange(store.count(split)) if split == "synthetic" else comparable_rows(store, split)
    return rows[evenly(len(rows), MOST_IMAGES)] if len(rows) else rows


def images_of(store: PairStore, split: str, workspace: Workspace) -> np.ndarray:
    """Return the measured images of a split, ``(N, H, W, 3)`` uint8.

    Raises:
        SatSynthError: There are none.
    """
    rows = chosen_rows(store, split)
    if not len(rows):
        raise SatSynthError(f"No tile of the split '{split}' passes `tiling.keep`.", "Loosen `tiling.keep`.")
    return decoded(store, split, workspace.work).images[rows]


def masks_of(store: PairStore, split: str, workspace: Workspace) -> np.ndarray:
    """Return the measured masks of a split, ``(N, H, W)`` uint8."""
    return decoded(store, split, workspace.work).masks[chosen_rows(store, split)]
