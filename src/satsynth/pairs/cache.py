"""Decoded pairs in memory-mapped files, shared by all trainings over one store."""

from __future__ import annotations

import mmap
import os
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.pairs.store import PairStore
from satsynth.work.files import disk_errors

RESULT_VERSION = 2
IMAGES, MASKS = "images.npy", "masks.npy"


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

    @property
    def mapped(self) -> Path | None:
        """The folder of the arrays, where all of them lie in files and all pairs count."""
        # A slice of a mapped array still bears the file's name; only a whole one rests on the map itself.
        if self.rows is None and isinstance(self.images, np.memmap) and isinstance(self.images.base, mmap.mmap):
            return Path(str(self.images.filename)).parent
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        """Send worker processes the name of mapped files, not gigabytes of their content."""
        folder = DecodedPairs(self.images, self.masks).mapped
        if folder is not None:
            return _mapped, (folder, self.rows)
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
                write_decoded(temporary, store.count(split), store.tile_size, store.arrays(split))
                if not folder.exists():
                    temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return _mapped(folder)


def _mapped(folder: Path, rows: np.ndarray | None = None) -> DecodedPairs:
    images, masks = (np.load(folder / name, mmap_mode="r") for name in (IMAGES, MASKS))
    return DecodedPairs(images, masks, rows)


def write_decoded(folder: Path, number: int, side: int, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
    """Write decoded pairs as arrays, one pair in memory at a time.

    Args:
        folder: Where ``images.npy`` and ``masks.npy`` go.
        number: How many pairs there are.
        side: Side of a pair in pixels.
        pairs: Images ``(side, side, 3)`` and masks ``(side, side)``, both uint8.
    """
    # Ordinary writes: on a full disk they raise an error, where a write to mapped memory kills the process.
    shape = (number, side, side)
    with disk_errors(folder), (folder / IMAGES).open("wb") as images, (folder / MASKS).open("wb") as masks:
        for file, size in ((images, (*shape, 3)), (masks, shape)):
            header = {"descr": "|u1", "fortran_order": False, "shape": size}
            np.lib.format.write_array_header_1_0(file, header)
        for image, mask in pairs:
            images.write(image.tobytes())
            masks.write(mask.tobytes())
        for file in (images, masks):
            file.flush()
            os.fsync(file.fileno())
