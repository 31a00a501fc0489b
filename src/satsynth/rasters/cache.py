"""What all raster formats share: rasters decoded last are kept, bad files are named, absurd sizes refused."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from satsynth.work.errors import DataError

MAX_SIDE = 1_000_000
# 3 GiB of RGB; the largest scenes of iSAID have 170 million pixels.
MAX_DECODED = 1 << 30


class RasterCache:
    """Keeps some decoded rasters; threads that ask for the same one wait for a single decoding.

    Args:
        size: Number of rasters kept.
    """

    def __init__(self, size: int) -> None:
        """Start empty."""
        self._size = size
        self._kept: OrderedDict[tuple[str, int, str], np.ndarray] = OrderedDict()
        self._busy: dict[tuple[str, int, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, path: Path, kind: str, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """Return a raster, decoded now or before.

        Args:
            path: The file; a change of its modification time makes it another.
            kind: What is made of the file.
            decode: Makes it.

        Raises:
            DataError: The file is missing.
        """
        try:
            key = (str(path), path.stat().st_mtime_ns, kind)
        except OSError as error:
            raise unreadable(path, error) from error
        with self._lock:
            busy = self._busy.setdefault(key, threading.Lock())
        try:
            with busy:
                found = self._look_up(key)
                return self._keep(key, decode()) if found is None else found
        finally:
            with self._lock:
                self._busy.pop(key, None)

    def _look_up(self, key: tuple[str, int, str]) -> np.ndarray | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: tuple[str, int, str], array: np.ndarray) -> np.ndarray:
        with self._lock:
            self._kept[key] = array
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return array


def unreadable(path: Path, why: object) -> DataError:
    """Return the error for a file that is missing, empty or damaged."""
    try:
        size = path.stat().st_size if path.exists() else None
    except OSError:
        size = -1
    if isinstance(why, PermissionError):
        return DataError(f"{path} cannot be opened: permission denied.", "Give this user read access to it.")
    found = "is missing" if size is None else "is empty (0 bytes)" if size == 0 else f"cannot be read ({why})"
    return DataError(f"{path} {found}.", "Fetch or export this file again, or remove it together with its partner.")


def check_size(path: Path, height: int, width: int, decoded: int) -> None:
    """Refuse a raster that no memory holds, before anything is decoded.

    Args:
        path: The file.
        height: Rows that it says it has.
        width: Columns.
        decoded: Pixels that must be decoded at once.

    Raises:
        DataError: It is absurdly large, or cannot be read in parts.
    """
    if max(height, width) > MAX_SIDE:
        raise DataError(
            f"{path} says that it has {width} x {height} pixels; no side may be longer than {MAX_SIDE:,}.",
            "Fetch or export this file again: its header is damaged.",
        )
    if decoded > MAX_DECODED:
        raise DataError(
            f"{path} has {width} x {height} pixels, of which {decoded / 1e6:,.0f} million must be decoded at once; "
            f"at most {MAX_DECODED / 1e6:,.0f} million can be.",
            "Store it as a tiled GeoTIFF, which is read by window: gdal_translate -co TILED=YES -co COMPRESS=DEFLATE",
        )
