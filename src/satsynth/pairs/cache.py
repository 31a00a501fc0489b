"""Decoded pairs in memory-mapped files, which all trainings on a store share."""

from __future__ import annotations

import hashlib
import io
import logging
import mmap
import os
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from satsynth.pairs.store import PairStore
from satsynth.work.errors import DamagedError
from satsynth.work.files import disk_errors, read_json, set_aside, write_json
from satsynth.work.verified import verify

log = logging.getLogger(__name__)
_REMEDY = "Run the same command again: it decodes the pairs again."

RESULT_VERSION = 3
DIGESTS = "digests.json"
IMAGES, MASKS = "images.npy", "masks.npy"


@dataclass(frozen=True)
class DecodedPairs:
    """Decoded pairs, or a selection of them.

    Args:
        images: ``(N, H, W, 3)`` uint8 RGB.
        masks: ``(N, H, W)`` uint8 of class indices, 255 = ignore.
        rows: Rows of the selected pairs, or None for all.
    """

    images: np.ndarray
    masks: np.ndarray
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of selected pairs."""
        return len(self.images if self.rows is None else self.rows)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return image and mask of one pair."""
        row = number if self.rows is None else int(self.rows[number])
        return self.images[row], self.masks[row]

    def take(self, rows: np.ndarray) -> DecodedPairs:
        """Select some of the pairs without reading them."""
        return DecodedPairs(self.images, self.masks, rows if self.rows is None else self.rows[rows])

    @property
    def mapped(self) -> Path | None:
        """Folder of the arrays if they are memory-mapped files and all pairs are selected, else None."""
        # A slice of a mapped array also has the file's name, but only the whole array has the map itself as its base.
        if self.rows is None and isinstance(self.images, np.memmap) and isinstance(self.images.base, mmap.mmap):
            return Path(str(self.images.filename)).parent
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        """Send worker processes the path of mapped files instead of gigabytes of content."""
        folder = DecodedPairs(self.images, self.masks).mapped
        if folder is not None:
            return _mapped, (folder, self.rows)
        return DecodedPairs, (self.images, self.masks, self.rows)


def decoded(store: PairStore, split: str, root: Path) -> DecodedPairs:
    """Return the decoded pairs of one split, and decode them if this has not been done before or they are damaged.

    Args:
        store: The store.
        split: ``train``, ``val``, ``test``, ``unlabelled`` or ``synthetic``.
        root: Folder of all work. The arrays are in ``decoded/`` below it, under the store's digest.

    Raises:
        ResourceError: The disk is full or not writable.
    """
    folder = root / "decoded" / f"{store.digest[:24]}-{split}-{RESULT_VERSION}"
    if folder.exists():
        try:
            _verify(folder)
        except DamagedError as damage:
            log.warning("%s It is set aside, and the pairs are decoded again.", damage.problem)
            if aside := set_aside(folder):
                # Nothing else sweeps this folder, and the arrays are large.
                shutil.rmtree(aside, ignore_errors=True)
    if not folder.exists():
        temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            with disk_errors(folder):
                temporary.mkdir(parents=True)
                written = write_decoded(temporary, store.count(split), store.tile_size, store.arrays(split))
                write_json(temporary / DIGESTS, written)
                if not folder.exists():
                    temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        # What lies on the disk now, whoever wrote it.
        _verify(folder)
    return _mapped(folder)


def _verify(folder: Path) -> None:
    digests = read_json(folder / DIGESTS) if (folder / DIGESTS).exists() else None
    if not isinstance(digests, dict) or set(digests) != {IMAGES, MASKS}:
        raise DamagedError(folder / DIGESTS, "it does not hold the digests of both arrays", _REMEDY)
    for name, digest in digests.items():
        verify(folder / name, str(digest), _REMEDY)


def _mapped(folder: Path, rows: np.ndarray | None = None) -> DecodedPairs:
    images, masks = (np.load(folder / name, mmap_mode="r") for name in (IMAGES, MASKS))
    return DecodedPairs(images, masks, rows)


def write_decoded(
    folder: Path, number: int, side: int, pairs: Iterable[tuple[np.ndarray, np.ndarray]]
) -> dict[str, str]:
    """Write decoded pairs as arrays, with one pair in memory at a time.

    Args:
        folder: Folder for ``images.npy`` and ``masks.npy``.
        number: Number of pairs.
        side: Side of a pair in pixels.
        pairs: Images ``(side, side, 3)`` and masks ``(side, side)``, both uint8.

    Returns:
        The SHA-256 of both files, of what was to be written.
    """
    # Ordinary writes raise an error on a full disk, whereas a write to mapped memory would kill the process.
    shape = (number, side, side)
    with disk_errors(folder), (folder / IMAGES).open("wb") as images, (folder / MASKS).open("wb") as masks:
        digests = {IMAGES: hashlib.sha256(), MASKS: hashlib.sha256()}

        def write(file: BinaryIO, name: str, content: bytes) -> None:
            file.write(content)
            digests[name].update(content)

        for file, name, size in ((images, IMAGES, (*shape, 3)), (masks, MASKS, shape)):
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": size})
            write(file, name, header.getvalue())
        for image, mask in pairs:
            write(images, IMAGES, image.tobytes())
            write(masks, MASKS, mask.tobytes())
        for file in (images, masks):
            file.flush()
            os.fsync(file.fileno())
    return {name: digest.hexdigest() for name, digest in digests.items()}
