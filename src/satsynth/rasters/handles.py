"""Open files of GDAL: few for each thread, reopened when they change, and closed after an error."""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from satsynth.rasters.cache import check_size, unreadable
from satsynth.rasters.opening import open_raster, require_plain
from satsynth.rasters.pictures import orientation
from satsynth.work.errors import DataError

Window = tuple[int, int, int, int]
_HANDLES = 4


class _Handles(threading.local):
    """Files that this thread opened last. They stay open so that blocks decoded for one window serve the next."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int, tuple[int, ...]], Any] = OrderedDict()

    def get(self, path: Path) -> Any:
        key = (str(path), require_plain(path).st_mtime_ns, _beside(path))
        if key not in self._kept:
            self._kept[key] = _open(path)
            while len(self._kept) > _HANDLES:
                self._kept.popitem(last=False)[1].close()
        self._kept.move_to_end(key)
        return self._kept[key]

    def close(self) -> None:
        while self._kept:
            self._kept.popitem()[1].close()


_handles = _Handles()


@contextmanager
def reading(path: Path) -> Iterator[Any]:
    """Yield this thread's open file, and raise errors of GDAL as ``DataError``.

    GDAL remembers an error until a file is opened, and rasterio would raise it for the next file that is read. All
    files are therefore closed after an error.

    Raises:
        DataError: The file is missing, empty, damaged, not a raster, not upright, or implausibly large.
    """
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError

    try:
        yield _handles.get(path)
    except (RasterioError, CPLE_BaseError) as error:
        _handles.close()
        raise unreadable(path, error.args[0] if error.args else error) from error


def _beside(path: Path) -> tuple[int, ...]:
    """Return the times of the neighbours that change what GDAL reads, 0 where there is none."""
    times = []
    for suffix in (".aux.xml", ".msk"):
        try:
            times.append(path.with_name(f"{path.name}{suffix}").stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return tuple(times)


def _open(path: Path) -> Any:
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            source = open_raster(path)
            turned = orientation(path)
    except RasterioIOError as error:
        raise unreadable(path, error) from error
    if turned > 1:
        source.close()
        raise DataError(
            f"{path} is not upright (EXIF orientation {turned}), and GDAL does not turn the files that it reads.",
            "Turn its pixels: magick file.tif -auto-orient new.tif",
        )
    rows, columns = source.block_shapes[0]
    check_size(path, source.height, source.width, rows * columns)
    return source


def gdal_window(window: Window | None) -> Any:
    """Return a window, or none, in the form of rasterio."""
    from rasterio.windows import Window as TiffWindow

    return TiffWindow(*window) if window else None
