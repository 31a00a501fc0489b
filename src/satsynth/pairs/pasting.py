"""Layouts edited: a connected region of one training scene is pasted into a window of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from satsynth.pairs.regions import regions_of
from satsynth.pairs.settings import PastedRegions
from satsynth.pairs.windows import Windows
from satsynth.work.ignore import IGNORE_INDEX

# Windows in which a region is looked for; if there is none, the layout stays as it was cut.
TRIES = 200


class Paster:
    """Pastes regions into layouts.

    Args:
        windows: Windows of the masks of training scenes, from which regions are cut as layouts are.
        settings: How often, and of which classes.
        class_names: Names in order of the class index.
    """

    def __init__(self, windows: Windows, settings: PastedRegions, class_names: Sequence[str]) -> None:
        """Look the classes up."""
        self._windows, self._share = windows, settings.share
        self._classes = [class_names.index(name) for name in settings.classes or class_names]

    def edited(self, layout: np.ndarray, scene: int, random: np.random.Generator) -> np.ndarray:
        """Return a layout with a region of another scene in its share of cases, else the layout itself.

        Args:
            layout: ``(side, side)`` uint8 of class indices, 255 = ignore.
            scene: Number of the scene that it was cut from.
            random: Where the draws come from.
        """
        if random.random() >= self._share:
            return layout
        wanted = self._classes[int(random.integers(len(self._classes)))]
        for _ in range(TRIES):
            found = whole_regions(self._windows.elsewhere(random, scene), wanted)
            if found:
                sizes = np.array([region.sum() for region in found])
                # By size, as single pixels are many and change nothing.
                region = found[int(random.choice(len(found), p=sizes / sizes.sum()))]
                return paste(layout, region, wanted, random)
        return layout


def whole_regions(mask: np.ndarray, wanted: int) -> list[np.ndarray]:
    """Return the connected regions of a class that do not touch the border of a mask, where they may have been cut.

    Args:
        mask: ``(H, W)`` uint8 of class indices, 255 = ignore.
        wanted: The class.

    Returns:
        The shape of each region ``(h, w)`` bool, no larger than the region.
    """
    if not (mask == wanted).any():
        return []
    numbers, _, _ = regions_of(np.where(mask == wanted, mask, IGNORE_INDEX))
    border = np.concatenate([numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]])
    shapes = []
    for number in np.setdiff1d(np.unique(numbers), [-1, *border]):
        rows, columns = np.nonzero(numbers == number)
        shapes.append(numbers[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] == number)
    return shapes


def paste(layout: np.ndarray, region: np.ndarray, label: int, random: np.random.Generator) -> np.ndarray:
    """Return a layout with a region at a random place within it. What is ignored there stays so.

    Args:
        layout: ``(H, W)`` uint8 of class indices, 255 = ignore.
        region: ``(h, w)`` bool, no larger than the layout.
        label: Class of the region.
        random: Chooses the place.
    """
    (height, width), edited = region.shape, layout.copy()
    top = int(random.integers(layout.shape[0] - height + 1))
    left = int(random.integers(layout.shape[1] - width + 1))
    part = edited[top : top + height, left : left + width]
    part[region & (part != IGNORE_INDEX)] = label
    return edited
