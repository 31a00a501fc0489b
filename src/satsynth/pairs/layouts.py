"""Masks for which images are painted: cut anew from those of training scenes, or drawn by a user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from satsynth.datasets.description import KeepSettings
from satsynth.pairs.masks import MaskStore
from satsynth.pairs.pair import class_counts
from satsynth.pairs.pasting import Paster
from satsynth.pairs.required import kept_rows
from satsynth.pairs.settings import WindowSettings
from satsynth.pairs.store import PairStore
from satsynth.pairs.tiling import cover_starts
from satsynth.pairs.windows import MORE_TRIES, Accept, Windows
from satsynth.work.errors import DataError, SatSynthError

# By `sampling.layouts`; raised by a change of code that changes layouts.
VERSIONS = {"model": 1, "real": 2, "folder": 1}
# What a seed is used for.
WINDOWS, PASTED = 4, 1


class Layouts(Protocol):
    """Masks by number; small and picklable, as each process that draws opens them for itself."""

    def masks(self, numbers: Sequence[int], seed: int) -> np.ndarray:
        """Return masks ``(B, side, side)`` uint8 of class indices with 255 = ignore; mask i depends on (seed, i)."""
        ...


@dataclass(frozen=True)
class WindowLayouts:
    """Windows of the masks of training scenes, at any place.

    Args:
        store: Folder of the store of masks.
        side: Side of a tile in pixels.
        windows: How they are cut.
        keep: The rule for training tiles, which windows keep to as well.
    """

    store: Path
    side: int
    windows: WindowSettings
    keep: KeepSettings

    def masks(self, numbers: Sequence[int], seed: int) -> np.ndarray:
        """Return windows; see `Layouts.masks`."""
        windows, paster = _windows(self)
        found = []
        for number in numbers:
            scene, _, mask = windows.draw(np.random.default_rng([seed, WINDOWS, number]))
            # A draw of its own: what is not edited stays the same.
            found.append(paster.edited(mask, scene, np.random.default_rng([seed, WINDOWS, number, PASTED])))
        return np.stack(found)


@lru_cache(maxsize=1)
def _windows(layouts: WindowLayouts) -> tuple[Windows, Paster]:
    store, how = MaskStore(layouts.store), layouts.windows
    # A smaller scene would have to be enlarged beyond the zooms that are allowed.
    large = [mask for mask in store.arrays() if min(mask.shape) >= how.zoom[0] * layouts.side]
    if not large:
        raise DataError(
            f"No training scene is large enough for windows of {layouts.side} pixels at `sampling.windows.zoom` "
            f"{list(how.zoom)}.",
            "Lower its first value, or choose another `sampling.layouts`.",
        )
    accept, rules = accepted(how, layouts.keep, store.class_names), "`tiling.keep`"
    if how.class_weights:
        rules += f" and `sampling.windows.class_weights` {how.class_weights}"
    none = DataError(
        f"Of {MORE_TRIES:,} windows of training scenes none was taken, by {rules}.",
        "Loosen `tiling.keep`, give the classes around the wanted ones more weight, or choose another "
        "`sampling.layouts`.",
    )
    windows = Windows(large, None, layouts.side, how, accept, none)
    return windows, Paster(windows, how.pasted, store.class_names)


def accepted(windows: WindowSettings, keep: KeepSettings, class_names: Sequence[str]) -> Accept:
    """Return which windows are taken: those that the rule for training tiles keeps, by chance if classes have weights.

    Raises:
        SatSynthError: A class that does not exist is named, or all classes have the weight 0.
    """
    for parameter, named in (("class_weights", windows.class_weights), ("pasted.classes", windows.pasted.classes)):
        unknown = sorted(set(named) - set(class_names))
        if unknown:
            raise SatSynthError(
                f"`sampling.windows.{parameter}` names {', '.join(unknown)}; the classes are {', '.join(class_names)}.",
                "Correct the name.",
            )
    weights = _weights(windows, class_names)
    if not weights.any():
        raise SatSynthError("`sampling.windows.class_weights` gives 0 to every class.", "Give a class more than 0.")

    def accept(random: np.random.Generator, mask: np.ndarray) -> bool:
        counts = class_counts(mask, len(class_names))
        if not kept_rows(counts[None], mask.size, keep, class_names)[0]:
            return False
        # Without weights, no number is drawn.
        return not windows.class_weights or bool(random.random() * weights.max() * counts.sum() <= counts @ weights)

    return accept


def _weights(windows: WindowSettings, class_names: Sequence[str]) -> np.ndarray:
    """Return the weight of each class, ``(K,)`` float64; 1 for one that is not named."""
    return np.array([windows.class_weights.get(name, 1.0) for name in class_names])


def require_takeable(windows: WindowSettings, tiles: PairStore) -> None:
    """Refuse weights of classes by which hardly a window would be taken, as far as training tiles show it.

    Raises:
        SatSynthError: Fewer than one in two thousand would.
    """
    counts = tiles.pixel_counts()[(tiles.index()["split"] == "train").to_numpy()]
    weights = _weights(windows, tiles.class_names)
    taken = float((counts @ weights / np.maximum(1, counts.sum(1)) / weights.max()).mean())
    if taken < 10 / MORE_TRIES:
        raise SatSynthError(
            f"By `sampling.windows.class_weights` {windows.class_weights} one in {1 / max(taken, 1e-9):,.0f} windows "
            "like the training tiles would be taken.",
            "Give the classes around the wanted ones more weight: a window has the mean weight of its pixels.",
        )


@dataclass(frozen=True)
class DrawnLayouts:
    """Masks that a user has drawn, in turn; larger ones tile by tile.

    Args:
        store: Folder of the store of masks.
        side: Side of a tile in pixels.
    """

    store: Path
    side: int

    def masks(self, numbers: Sequence[int], seed: int) -> np.ndarray:
        """Return layouts; see `Layouts.masks`. Numbers beyond the last layout begin again with the first one."""
        masks, places = _tiles(self)
        found = []
        for number in numbers:
            mask, top, left = places[number % len(places)]
            found.append(masks[mask][top : top + self.side, left : left + self.side])
        return np.stack(found)

    @property
    def distinct(self) -> int:
        """Number of different layouts."""
        return len(_tiles(self)[1])


@lru_cache(maxsize=1)
def _tiles(layouts: DrawnLayouts) -> tuple[list[np.ndarray], list[tuple[int, int, int]]]:
    masks = MaskStore(layouts.store).arrays()
    places = [
        (number, top, left)
        for number, mask in enumerate(masks)
        for top, _ in cover_starts(mask.shape[0], layouts.side)
        for left, _ in cover_starts(mask.shape[1], layouts.side)
    ]
    return masks, places
