"""Decoded pairs in memory-mapped files, shared by all trainings over one store."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from satsynth.pairs.store import PairStore
from satsynth.work.files import disk_errors


@dataclass(frozen=True)
class DecodedPairs:
    """Pairs decoded once.

    Args:
        images: ``(N, H, W, 3)`` uint8 RGB.
        masks: ``(N, H, W)`` uint8 of class indices, 255 = ignore.
        rows: The pairs that count; all without.
    """

    images: np.ndarray
    masks: np.ndarray
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images if self.rows is None else self.rows)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return image and mask of one pair."""
        row = number if self.rows is None else int(self.rows[number])
        return self.images[row], self.masks[row]

    def take(self, rows: np.ndarray) -> DecodedPairs:
        """Return a part of the pairs, without reading them."""
        return DecodedPairs(self.images, self.masks, rows if self.rows is None else self.rows[rows])


def decoded(store: PairStore, split: str, root: Path) -> DecodedPairs:
    """Return the decoded pairs of one split, decoding them if no training has done so before.

    Args:
        store: The store.
        split: ``train``, ``val``, ``test`` or ``synthetic``.
        root: Folder of all work; the arrays lie in ``decoded/`` below it, named by the store's digest.

    Raises:
        ResourceError: The disk is full or not writable.
    """
    folder = root / "decoded" / f"{store.digest[:24]}-{split}"
    if not folder.exists():
        temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            with disk_errors(folder):
                temporary.mkdir(parents=True)
                n, side = store.count(split), store.tile_size
                images = np.lib.format.open_memmap(temporary / "images.npy", "w+", np.uint8, (n, side, side, 3))
                masks = np.lib.format.open_memmap(temporary / "masks.npy", "w+", np.uint8, (n, side, side))
                for i, (image, mask) in enumerate(store.arrays(split)):
                    images[i], masks[i] = image, mask
                images.flush()
                masks.flush()
                if not folder.exists():
                    temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return DecodedPairs(np.load(folder / "images.npy", mmap_mode="r"), np.load(folder / "masks.npy", mmap_mode="r"))
