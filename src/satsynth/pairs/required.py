"""What tiles must hold, so that what follows can be done with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from satsynth.datasets.description import KeepSettings
from satsynth.pairs.store import PairStore
from satsynth.scenes.splits import SPLITS
from satsynth.work.errors import DataError

# With fewer, no measure that compares training images with one another has a value.
LEAST_TRAINING = 2


def kept_rows(counts: np.ndarray, pixels: int, keep: KeepSettings, class_names: Sequence[str]) -> np.ndarray:
    """Return which tiles have few enough ignored pixels and enough of the wanted classes.

    Args:
        counts: ``(N, K)`` pixels of each class in each tile.
        pixels: Pixels of a tile.
        keep: The rule.
        class_names: Names in order of the class index.

    Returns:
        ``(N,)`` bool.
    """
    kept = 1 - counts.sum(1) / pixels <= keep.max_ignore
    if keep.least is not None:
        wanted = counts[:, [class_names.index(name) for name in keep.least.classes]].sum(1)
        kept &= wanted / pixels >= keep.least.share
    return kept


def comparable_rows(store: PairStore, split: str) -> np.ndarray:
    """Return the pairs of a split, by number within it, that the rule for training tiles would keep.

    Val and test are covered completely, so they also hold tiles of a kind that training never sees. A yardstick for
    what was learned from training tiles must leave those out.
    """
    keep = KeepSettings(**store.manifest["keep"])
    counts = store.pixel_counts()[(store.index()["split"] == split).to_numpy()]
    return np.flatnonzero(kept_rows(counts, store.tile_size**2, keep, store.class_names))


def require_labels(store: PairStore) -> None:
    """Refuse tiles of which a whole split has no label: nothing could be scored, which would be found after training.

    Raises:
        DataError: All pixels of a split are ignored.
    """
    splits, counts = store.index()["split"].to_numpy(), store.pixel_counts()
    for split in SPLITS:
        if not counts[splits == split].sum():
            raise DataError(
                f"All pixels of the {np.count_nonzero(splits == split)} tile(s) of the split '{split}' are ignored, so "
                "nothing can be learned or scored there.",
                "Assign labelled scenes to it in `splits`, or correct `ignore` and `masks` in the description.",
            )


def require_training(store: PairStore) -> None:
    """Refuse to train on fewer tiles than can be compared with one another.

    Raises:
        DataError: There are fewer.
    """
    found = store.count("train")
    if found < LEAST_TRAINING:
        raise DataError(
            f"There is {found} training tile, but at least {LEAST_TRAINING} are needed to train and to measure.",
            "Lower `tiling.stride` or `tiling.tile_size`, loosen `tiling.keep`, or assign more scenes to train.",
        )


def missing_classes(store: PairStore) -> list[str]:
    """Return in words which classes have no pixel in a split of a store of real pairs."""
    splits, counts = store.index()["split"].to_numpy(), store.pixel_counts()
    lacking = []
    for split in SPLITS:
        pixels = counts[splits == split].sum(axis=0)
        names = [name for name, found in zip(store.class_names, pixels, strict=True) if not found]
        if names:
            lacking.append(f"{', '.join(names)} in {split}")
    return lacking
