"""Decoded pairs in memory-mapped files, shared by all trainings over one store."""

from __future__ import annotations

import mmap
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.pairs.store import PairStore
from satsynth.work.files import disk_errors

RESULT_VERSION = 2


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
        """Return the number of pairs that count."""
        return len(self.images if self.rows is None else self.rows)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return image and mask of one pair."""
        row = number if self.rows is None else int(self.rows[number])
        return self.images[row], self.masks[row]

    def take(self, rows: np.ndarray) -> DecodedPairs:
        """Return a part of the pairs, without reading them."""
        return DecodedPairs(self.images, self.masks, rows if self.rows is None else self.rows[rows])

    def __reduce__(self) -> tuple[Any, ...]:
        """Send worker processes the name of mapped files, not gigabytes of their content."""
        # A slice of a mapped array still bears the file's name; only a whole one rests on the map itself.
        if isinstance(self.images, np.memmap) and isinstance(self.images.base, mmap.mmap):
            return _mapped, (Path(str(self.images.filename)).parent, self.rows)
        return DecodedPairs, (self.images, self.masks, self.rows)


def decoded(store: PairStore, split: str, root: Path) -> DecodedPairs:
    """Return the decoded pairs of one split, decoding them if no training has done so before.

    Args:
        store: The store.
        split: ``train``, ``val``, ``test`` or ``synthetic``.
        root: Folder of all work; the arrays lie in ``decoded/`` below it, named by the store's digest.

    Raises:
        ResourceError: The disk is full or not writable.
    """
    folder = root / "decoded" / f"{store.digest[:24]}-{split}-{RESULT_VERSION}"
    if not folder.exists():
        temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            with disk_errors(folder):
                temporary.mkdir(parents=True)
                _decode_all(store, split, temporary)
                if not folder.exists():
                    temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return _mapped(folder)


def _mapped(folder: Path, rows: np.ndarray | None = None) -> DecodedPairs:
    images, masks = (np.load(folder / name, mmap_mode="r") for name in ("images.npy", "masks.npy"))
    return DecodedPairs(images, masks, rows)


def _decode_all(store: PairStore, split: str, folder: Path) -> None:
    # Ordinary writes: on a full disk they raise an error, where a write to mapped memory kills the process.
    side = store.tile_size
    shape = (store.count(split), side, side)
    with (folder / "images.npy").open("wb") as images, (folder / "masks.npy").open("wb") as masks:
        for file, size in ((images, (*shape, 3)), (masks, shape)):
            header = {"descr": "|u1", "fortran_order": False, "shape": size}
            np.lib.format.write_array_header_1_0(file, header)
        for image, mask in store.arrays(split):
            images.write(image.tobytes())
            masks.write(mask.tobytes())
        for file in (images, masks):
            file.flush()
            os.fsync(file.fileno())
