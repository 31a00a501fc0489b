"""Arrays of NumPy as rasters: `.npy`, read from the disk as far as it is asked for, and `.npz` with one array.

They say neither what their axes nor what their bands mean. The shorter end is the bands, whichever end that is, and
where that decides nothing the file is refused. Nothing in them is unpickled, which would run code of a stranger.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.datasets.formats import ImageFormat
from satsynth.rasters.cache import RasterCache, check_size, unreadable
from satsynth.rasters.handles import Window
from satsynth.rasters.opening import require_plain
from satsynth.work.errors import DataError

ARRAYS = (".npy", ".npz")
_READ = 512


def is_array(path: Path) -> bool:
    """Return whether a file is an array of NumPy by its suffix."""
    return path.suffix.lower() in ARRAYS


def array_shape(path: Path) -> tuple[tuple[int, int, int], np.dtype[Any]]:
    """Return rows, columns and bands of an array, and the type of its values, without reading them.

    Raises:
        DataError: The file is missing or damaged, or holds no raster.
    """
    require_plain(path)
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as file:
                shape, kind = _header(file)
        else:
            with zipfile.ZipFile(path) as archive, archive.open(_only(path, archive)) as file:
                shape, kind = _header(file)
    # A damaged header ends in one of the first three. Those of zipfile: no archive, an unknown compression, encryption.
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise unreadable(path, error) from error
    if kind.kind not in "biuf":
        raise DataError(
            f"{path} holds {kind} values, which are no intensities or ids.",
            "Save plain numbers: numpy.save(file, array.astype('uint8')).",
        )
    rows, columns, bands = _sides(path, shape)
    check_size(path, rows, columns, rows * columns * bands // 3 if path.suffix.lower() == ".npz" else 0)
    return (rows, columns, bands), kind


def read_array(path: Path, window: Window | None = None, decoded: RasterCache | None = None) -> np.ndarray:
    """Read an array, or a window of it.

    Args:
        path: The file.
        window: (x, y, width, height) in pixels, or None for all of it.
        decoded: Cache of files that are decoded as a whole.

    Returns:
        ``(height, width, bands)`` of the file's own type; truth values become 0 and 1.

    Raises:
        DataError: The file is missing or damaged, or holds no raster.
    """
    sides, _ = array_shape(path)
    if path.suffix.lower() == ".npy" or decoded is None:
        array = _loaded(path)
    else:
        array = decoded.get(path, "array", lambda: _loaded(path))
    if array.ndim == 2:
        array = array[..., None]
    elif array.shape != sides:
        array = np.moveaxis(array, 0, -1)
    if window is not None:
        x, y, width, height = window
        array = array[y : y + height, x : x + width]
    kind = np.dtype(np.uint8) if array.dtype.kind == "b" else array.dtype.newbyteorder("=")
    return np.ascontiguousarray(array, kind)


def image_bands(
    path: Path, form: ImageFormat, window: Window | None = None, decoded: RasterCache | None = None
) -> np.ndarray:
    """Read the red, green and blue band.

    Returns:
        ``(height, width, 3)`` of the file's own type.

    Raises:
        DataError: The file cannot be read, or the description does not say which bands these are.
    """
    bands = array_shape(path)[0][2]
    if form.bands is None and bands not in (1, 3):
        raise DataError(
            f"{path} has {bands} bands and does not say which are red, green and blue.",
            "Set them in the description, as in `images: {bands: [1, 2, 3]}`.",
        )
    _require_band(path, max(form.bands or (1,)), bands)
    colors = [band - 1 for band in form.colors] or list(range(bands))
    return np.ascontiguousarray(read_array(path, window, decoded)[..., colors if len(colors) == 3 else colors * 3])


def array_valid(
    path: Path, form: ImageFormat, window: Window | None = None, decoded: RasterCache | None = None
) -> np.ndarray | None:
    """Return which pixels of an image are neither NaN nor transparent by the description's fourth band.

    Returns:
        ``(height, width)`` bool, or None if all pixels are valid.

    Raises:
        DataError: The file cannot be read.
    """
    (_, _, bands), kind = array_shape(path)
    valid = None
    if form.alpha is not None:
        _require_band(path, form.alpha, bands)
        valid = read_array(path, window, decoded)[..., form.alpha - 1] > 0
    if kind.kind == "f":
        finite = np.isfinite(image_bands(path, form, window, decoded)).all(axis=-1)
        valid = finite if valid is None else valid & finite
    return valid


def array_intensities(path: Path, form: ImageFormat) -> tuple[float, float]:
    """Estimate the 2nd and the 98th percentile of an image's intensities from evenly spaced pixels.

    Raises:
        DataError: The file cannot be read, or the description does not say which bands are meant.
    """
    pixels = image_bands(path, form)
    steps = (max(1, side // _READ) for side in pixels.shape[:2])
    values = pixels[tuple(slice(None, None, step) for step in steps)].astype(np.float64)
    values = values[np.isfinite(values)]
    return tuple(np.percentile(values, (2, 98)).tolist()) if values.size else (0.0, 1.0)


def array_mask(
    path: Path, encoding: str, window: Window | None = None, decoded: RasterCache | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Read a mask without converting its values.

    Returns:
        ``(height, width)`` ids, or ``(height, width, 3)`` colours; and ``(height, width)`` bool, which pixels are NaN,
        or None if there are none.

    Raises:
        DataError: The file cannot be read, or has too few or too many bands.
    """
    bands, wanted = array_shape(path)[0][2], 1 if encoding == "index" else 3
    if bands != wanted:
        what = "`index`, which requires one band of ids" if wanted == 1 else "`color`, which requires three bands"
        raise DataError(
            f"{path} has {bands} band(s), but `masks.encoding` is {what}.",
            f"Set `masks.encoding: {'color' if bands == 3 else 'index'}`, or save what the masks mean: one id for each "
            "pixel (of scores for each class, numpy.argmax over the bands), or three bands of colour.",
        )
    mask = read_array(path, window, decoded)
    mask = mask[..., 0] if wanted == 1 else mask
    nan = ~np.isfinite(mask).reshape(*mask.shape[:2], -1).all(-1) if mask.dtype.kind == "f" else None
    return mask, nan if nan is not None and nan.any() else None


def _require_band(path: Path, band: int, bands: int) -> None:
    if band > bands:
        raise DataError(
            f"{path} has {bands} band(s), but `images.bands` asks for band {band}.",
            "Correct `images.bands` in the description.",
        )


def _loaded(path: Path) -> np.ndarray:
    try:
        if path.suffix.lower() == ".npy":
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        with np.load(path, allow_pickle=False) as archive:
            return np.asarray(archive[archive.files[0]])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise unreadable(path, error) from error


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(file)
    return shape, kind


def _only(path: Path, archive: zipfile.ZipFile) -> str:
    names = archive.namelist()
    if len(names) != 1:
        shown = ", ".join(name.removesuffix(".npy") for name in names[:5])
        raise DataError(
            f"{path} holds {len(names)} arrays ({shown}), and nothing says which one is meant.",
            "Save one array a file: numpy.savez_compressed(file, array), or as .npy.",
        )
    return names[0]


def _sides(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return rows, columns and bands; the bands are the shorter end of three axes.

    Raises:
        DataError: Neither end is shorter than both other axes, or there are not two or three axes.
    """
    if len(shape) == 2 and min(shape) > 0:
        return shape[0], shape[1], 1
    if len(shape) == 3 and min(shape) > 0:
        if shape[2] < min(shape[:2]):
            return shape[0], shape[1], shape[2]
        if shape[0] < min(shape[1:]):
            return shape[1], shape[2], shape[0]
    raise DataError(
        f"{path} holds an array of the shape {shape}, which is no raster of (height, width), (height, width, bands) or "
        "(bands, height, width) with fewer bands than rows and columns.",
        "Save one image a file in such a shape: numpy.save(file, numpy.moveaxis(array, <axis of the bands>, -1)).",
    )
