"""What all raster formats share: a cache of decoded rasters, errors for bad files, and a limit on size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from satsynth.work.errors import DataError

MAX_SIDE = 1_000_000
# 3 GiB of RGB. The largest scenes of iSAID have 170 million pixels.
MAX_DECODED = 1 << 30


class RasterCache:
    """Cache of decoded rasters. Threads that ask for the same raster share one decoding.

    Args:
        size: Number of rasters to keep.
    """

    def __init__(self, size: int) -> None:
        """Start empty."""
        self._size = size
        self._kept: OrderedDict[tuple[str, int, str], np.ndarray] = OrderedDict()
        self._busy: dict[tuple[str, int, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, path: Path, kind: str, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """Return a raster from the cache, or decode it.

        Args:
            path: The file. When its modification time changes, it is decoded again.
            kind: What the file is decoded to.
            decode: Function that decodes it.

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
    """Return the error for a missing, empty or damaged file."""
    try:
        size = path.stat().st_size if path.exists() else None
    except OSError:
        size = -1
    if isinstance(why, PermissionError):
        return DataError(f"{path} cannot be opened: permission denied.", "Give this user read access to it.")
    found = "is missing" if size is None else "is empty (0 bytes)" if size == 0 else f"cannot be read ({why})"
    return DataError(f"{path} {found}.", "Fetch or export this file again, or remove it together with its partner.")


def check_size(path: Path, height: int, width: int, decoded: int) -> None:
    """Refuse a raster that does not fit in memory, before anything is decoded.

    Args:
        path: The file.
        height: Rows according to its header.
        width: Columns according to its header.
        decoded: Pixels that must be decoded at once.

    Raises:
        DataError: The raster is implausibly large, or too large to be decoded at once.
    """
    if max(height, width) > MAX_SIDE:
        raise DataError(
            f"{path} has {width} x {height} pixels according to its header; no side may be longer than {MAX_SIDE:,}.",
            "Fetch or export this file again, since its header is damaged.",
        )
    if decoded > MAX_DECODED:
        raise DataError(
            f"{path} has {width} x {height} pixels, of which {decoded / 1e6:,.0f} million must be decoded at once; "
            f"the limit is {MAX_DECODED / 1e6:,.0f} million.",
            "Store it as a tiled GeoTIFF, which is read by window: gdal_translate -co TILED=YES -co COMPRESS=DEFLATE",
        )
