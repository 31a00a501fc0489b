"""Training scenes put together again from their tiles, a part at a time, so that windows can lie across tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.windows import Windows
from satsynth.work.ignore import IGNORE_INDEX

# In masks of mosaics: no tile lies there. It is no class, as there are at most 254 of them.
NOWHERE = 254
# Smaller mosaics would have windows enlarged beyond the zooms that are usual.
SMALLEST = 1.25


@dataclass(frozen=True)
class Mosaic:
    """One of the two pictures of a scene, as an array whose parts are put together when they are asked for.

    Args:
        tiles: Images ``(N, side, side, 3)`` or masks ``(N, side, side)`` of all tiles, uint8.
        rows: Which of them belong to the scene.
        tops: First row of each in the scene.
        lefts: First column of each.
        empty: Value of pixels that no tile covers.
    """

    tiles: np.ndarray
    rows: np.ndarray
    tops: np.ndarray
    lefts: np.ndarray
    empty: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the scene, as far as there are tiles."""
        side = self.tiles.shape[1]
        return int(self.tops.max()) + side, int(self.lefts.max()) + side

    @property
    def size(self) -> int:
        """Number of pixels that tiles cover, if they do not overlap; all pixels if they do."""
        return min(len(self.rows) * self.tiles.shape[1] ** 2, self.shape[0] * self.shape[1])

    def __getitem__(self, part: tuple[slice, slice]) -> np.ndarray:
        """Return a part of it by rows and columns, with the tiles' own pixels."""
        (top, bottom), (left, right) = ((s.start, s.stop) for s in part)
        found = np.full((bottom - top, right - left, *self.tiles.shape[3:]), self.empty, np.uint8)
        side = self.tiles.shape[1]
        near = (self.tops < bottom) & (self.tops + side > top) & (self.lefts < right) & (self.lefts + side > left)
        for row, y, x in zip(self.rows[near], self.tops[near] - top, self.lefts[near] - left, strict=True):
            inside = np.s_[max(0, y) : y + side, max(0, x) : x + side]
            height, width = found[inside].shape[:2]
            found[inside] = self.tiles[row, max(0, -y) : max(0, -y) + height, max(0, -x) : max(0, -x) + width]
        return found


def wholly_covered(random: np.random.Generator, mask: np.ndarray) -> bool:
    """Accept windows that tiles cover and of which at most half is ignored."""
    return bool((mask != NOWHERE).all() and (mask == IGNORE_INDEX).mean() <= 0.5)


class MosaicWindows:
    """Windows at any place, angle and zoom of the scenes that training tiles were cut from, image and mask alike.

    Args:
        index: A row a tile, in their order: ``scene_id``, ``row`` and ``col``.
        pairs: The decoded tiles.
    """

    def __init__(self, index: pd.DataFrame, pairs: DecodedPairs) -> None:
        """Note where the tiles lie. Scenes of a single row or column of tiles are left out while others are larger."""
        side, masks, images = pairs.masks.shape[1], [], []
        numbers = np.arange(len(pairs)) if pairs.rows is None else pairs.rows
        for _, places in index.assign(number=numbers).groupby("scene_id", sort=True):
            where = (places["number"].to_numpy(), places["row"].to_numpy(), places["col"].to_numpy())
            masks.append(Mosaic(pairs.masks, *where, empty=NOWHERE))
            images.append(Mosaic(pairs.images, *where, empty=0))
        large = [i for i, mask in enumerate(masks) if min(mask.shape) >= SMALLEST * side] or range(len(masks))
        # Of an array, windows need its shape, its size and parts of it.
        of_masks, of_images = (cast(list[np.ndarray], [mosaics[i] for i in large]) for mosaics in (masks, images))
        self._windows = Windows(of_masks, of_images, side, accept=wholly_covered)

    def cut(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Cut a window at random.

        Returns:
            Image ``(side, side, 3)`` and mask ``(side, side)`` of class indices with 255 = ignore, both uint8.
        """
        image, mask = self._windows.cut(random)
        assert image is not None
        return image, np.where(mask == NOWHERE, IGNORE_INDEX, mask)
