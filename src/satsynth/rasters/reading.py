"""Read raw rasters of any format by window."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from satsynth.datasets.formats import ImageFormat, Scaling
from satsynth.rasters import arrays, pictures, tiffs
from satsynth.rasters.alpha import holds_data
from satsynth.rasters.cache import RasterCache
from satsynth.rasters.handles import Window
from satsynth.rasters.opening import by_window
from satsynth.work.errors import DataError

PLAIN = ImageFormat()
# Ids that no description can name: what is absent has this value until it is ignored.
ABSENT = -(2**63)
# Whole numbers beyond it are not exact in floating point.
_LARGEST = 2.0**53


@dataclass(frozen=True)
class RawMask:
    """A mask as its file holds it.

    Args:
        values: ``(height, width)`` ids, or ``(height, width, 3)`` uint8 RGB.
        clear: ``(height, width)`` bool: pixels that are transparent; None if there are none.
        absent: ``(height, width)`` bool: pixels that hold the file's own nodata value, or NaN; None if there are none.
    """

    values: np.ndarray
    clear: np.ndarray | None = None
    absent: np.ndarray | None = None

    def at(self, place: Any) -> RawMask:
        """Return the pixels at an index into rows and columns."""
        clear, absent = (None if part is None else part[place] for part in (self.clear, self.absent))
        return RawMask(self.values[place], clear, absent)


@dataclass(frozen=True)
class RasterInfo:
    """Size of a raster, and its georeference if it has one."""

    height: int
    width: int
    crs: str | None = None
    transform: tuple[float, ...] | None = None


def raster_info(path: Path) -> RasterInfo:
    """Return a raster's size and georeference without decoding its pixels.

    Raises:
        DataError: The file is missing, empty, not a raster, or implausibly large.
    """
    if by_window(path):
        with tiffs.reading(path) as source:
            crs = source.crs.to_string() if source.crs else None
            transform = None if source.transform.is_identity else tuple(source.transform)[:6]
            return RasterInfo(source.height, source.width, crs, transform)
    if arrays.is_array(path):
        return RasterInfo(*arrays.array_shape(path)[0][:2])
    return RasterInfo(*pictures.picture_size(path))


def read_image(
    path: Path, window: Window | None = None, form: ImageFormat = PLAIN, decoded: RasterCache | None = None
) -> np.ndarray:
    """Read an image, or a window of it.

    Args:
        path: The file. TIFF, JPEG 2000 and `.npy` are read by window; other formats are decoded as a whole.
        window: (x, y, width, height) in pixels, or None for the whole image.
        form: Which bands to read, and how intensities become 8 bit.
        decoded: Cache of files that are decoded as a whole.

    Returns:
        ``(height, width, 3)`` uint8 RGB.

    Raises:
        DataError: The file cannot be read, is truncated, or is not 8 bit and no scaling is given.
    """
    if arrays.is_array(path):
        pixels = arrays.image_bands(path, form, window, decoded)
    elif _by_gdal(path):
        pixels = _gdal_pixels(path, window, form, decoded)
    else:
        pixels = _picked(_picture(path, window, decoded), path, form)
    if form.scaling is not None:
        return scaled(pixels, form.scaling)
    if pixels.dtype != np.uint8:
        raise _not_8_bit(path, pixels.dtype, form)
    return pixels


def read_valid(
    path: Path, window: Window | None = None, form: ImageFormat = PLAIN, decoded: RasterCache | None = None
) -> np.ndarray | None:
    """Return which pixels of an image are valid: not nodata, not transparent and not NaN.

    Args:
        path: The file.
        window: (x, y, width, height) in pixels, or None for the whole image.
        form: Which bands to read.
        decoded: Cache of files that are decoded as a whole.

    Returns:
        ``(height, width)`` bool, or None if all pixels are valid.

    Raises:
        DataError: The file cannot be read.
    """
    if arrays.is_array(path):
        return arrays.array_valid(path, form, window, decoded)
    if _by_gdal(path):
        return tiffs.read_valid(path, form, window)
    if form.alpha is None and (
        not pictures.has_transparency(path)
        or (pictures.has_alpha_band(path) and (form.bands is not None or alpha_holds_data(path, decoded)))
    ):
        return None
    pixels = _picture(path, window, decoded)
    _require_channel(pixels, path, form)
    return pixels[..., (form.alpha or 4) - 1] > 0


def alpha_holds_data(path: Path, decoded: RasterCache | None = None) -> bool | None:
    """Return whether the band that an image calls alpha holds other data, such as near infrared; None without one."""
    if _by_gdal(path):
        return tiffs.alpha_holds_data(path)
    if arrays.is_array(path) or not pictures.has_alpha_band(path):
        return None

    def judged() -> np.ndarray:
        return np.array(holds_data(_picture(path, None, decoded)[..., 3]))

    return bool(judged() if decoded is None else decoded.get(path, "alpha", judged))


def read_raw_mask(
    path: Path,
    encoding: str,
    window: Window | None = None,
    decoded: RasterCache | None = None,
    soft: bool = False,
) -> RawMask:
    """Read a mask, or a window of it, without converting its values to classes.

    Args:
        path: The file. A palette file gives indices or colours according to ``encoding``.
        encoding: ``index`` or ``color``.
        window: (x, y, width, height) in pixels, or None for the whole mask.
        decoded: Cache of files that are decoded as a whole.
        soft: Whether lossy compression is allowed.

    Returns:
        Ids or colours, and which pixels have none according to the file. Ids in floating point become whole numbers.

    Raises:
        DataError: The file cannot be read, is compressed with loss, or does not match ``encoding``.
    """
    clear = absent = None
    if by_window(path):
        mask, bands = tiffs.read_mask_bands(path, encoding, window, soft)
        clear, absent = tiffs.read_unlabelled(path, bands, window)
    elif pictures.is_deep_png(path):
        mask = _cut(_whole(path, encoding, lambda: tiffs.read_mask_bands(path, encoding, None)[0], decoded), window)
        clear, absent = tiffs.read_unlabelled(path, [1], window)
    elif arrays.is_array(path):
        mask, absent = arrays.array_mask(path, encoding, window, decoded)
    else:
        mask = _cut(_whole(path, encoding, lambda: pictures.decode_mask(path, encoding, soft), decoded), window)
        if pictures.has_transparency(path):
            clear = _cut(_whole(path, "clear", lambda: pictures.decode_clear(path), decoded), window)
    if encoding == "index" and mask.dtype.kind == "f":
        mask = _whole_numbers(mask, absent, path, window)
    if encoding == "index" and mask.dtype.kind not in "iu":
        raise DataError(f"{path} holds {mask.dtype} values; class ids must be whole numbers.", "Store it as 8-bit ids.")
    if encoding == "color" and mask.dtype != np.uint8:
        raise DataError(f"{path} holds {mask.dtype} values; colours must be 8 bit.", "Store it as 8-bit RGB.")
    if encoding == "index" and mask.ndim != 2:
        raise DataError(
            f"{path} holds colours ({mask.shape[2]} channels), but `masks.encoding` is `index`.",
            "Set `masks.encoding: color` if all masks of the data set hold colours; if only this one does, store it as "
            "8-bit ids.",
        )
    return RawMask(mask, clear, absent)


def _whole_numbers(mask: np.ndarray, absent: np.ndarray | None, path: Path, window: Window | None) -> np.ndarray:
    """Convert ids in floating point, as GIS programs write them; what is absent becomes ``ABSENT``."""
    known = np.ones(mask.shape, bool) if absent is None else ~absent
    wrong = known & ~((np.abs(mask) <= _LARGEST) & (mask == np.rint(mask)))
    if wrong.any():
        y, x = (int(place[0]) for place in np.nonzero(wrong))
        left, top = window[:2] if window else (0, 0)
        raise DataError(
            f"{path} holds {mask.dtype} values that are no ids in {int(wrong.sum())} pixel(s), first "
            f"{mask[y, x]:g} at x={x + left}, y={y + top}; class ids must be whole numbers.",
            "Export the ids themselves, without interpolation between them (nearest neighbour), and mark pixels "
            "without a label by the file's nodata value (gdal_edit.py -a_nodata <value> mask.tif), or store 8-bit ids.",
        )
    return np.where(known, mask, ABSENT).astype(np.int64) if absent is not None else mask.astype(np.int64)


def intensities(path: Path, form: ImageFormat) -> tuple[float, float]:
    """Estimate the 2nd and the 98th percentile of the intensities of an image that GDAL reads, or of an array.

    Raises:
        DataError: The file cannot be read, or nothing says which bands are red, green and blue.
    """
    return arrays.array_intensities(path, form) if arrays.is_array(path) else tiffs.intensities(path, form)


def scaled(pixels: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Scale ``(H, W, 3)`` intensities of any type linearly between two limits to uint8; NaN becomes 0."""
    kind = np.result_type(pixels.dtype, np.float32)
    low, high = np.broadcast_to(scaling.low, 3), np.broadcast_to(scaling.high, 3)
    share = (pixels.astype(kind) - low.astype(kind)) * (255 / (high - low)).astype(kind)
    return np.rint(np.clip(np.nan_to_num(share, copy=False, nan=0.0), 0, 255)).astype(np.uint8)


def reduce_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an image by averaging over areas."""
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def reduce_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a mask by nearest neighbour (pixel centres), so that no new value appears."""
    if mask.shape[:2] == (height, width):
        return mask
    y = ((np.arange(height) + 0.5) * mask.shape[0] / height).astype(int)
    x = ((np.arange(width) + 0.5) * mask.shape[1] / width).astype(int)
    return mask[np.ix_(y, x)]


def _by_gdal(path: Path) -> bool:
    return by_window(path) or pictures.is_deep_png(path)


def _gdal_pixels(path: Path, window: Window | None, form: ImageFormat, decoded: RasterCache | None) -> np.ndarray:
    if by_window(path):
        return tiffs.read_image_bands(path, form, window)
    # A PNG cannot be read by window: each window would decode it from the top.
    return _cut(_whole(path, "deep", lambda: tiffs.read_image_bands(path, form, None), decoded), window)


def _picture(path: Path, window: Window | None, decoded: RasterCache | None) -> np.ndarray:
    return _cut(_whole(path, "image", lambda: pictures.decode_image(path), decoded), window)


def _picked(pixels: np.ndarray, path: Path, form: ImageFormat) -> np.ndarray:
    if form.bands is None:
        return pixels if pixels.shape[2] == 3 else np.ascontiguousarray(pixels[..., :3])
    _require_channel(pixels, path, form)
    picked = [band - 1 for band in form.colors]
    return np.ascontiguousarray(pixels[..., picked if len(picked) == 3 else picked * 3])


def _require_channel(pixels: np.ndarray, path: Path, form: ImageFormat) -> None:
    if max(form.bands or (1,)) > pixels.shape[2]:
        raise DataError(
            f"{path} has {pixels.shape[2]} bands, but `images.bands` asks for band {max(form.bands or ())}.",
            "Correct `images.bands` in the description.",
        )


def _whole(path: Path, kind: str, decode: Any, decoded: RasterCache | None) -> np.ndarray:
    return decode() if decoded is None else decoded.get(path, kind, decode)


def _cut(array: np.ndarray, window: Window | None) -> np.ndarray:
    if window is None:
        return array
    x, y, width, height = window
    return array[y : y + height, x : x + width]


def _not_8_bit(path: Path, dtype: np.dtype[Any], form: ImageFormat) -> DataError:
    low, high = intensities(path, form)
    return DataError(
        f"{path} holds {dtype} values, 2 % of them below {low:g} and 2 % above {high:g}; images must be 8 bit unless "
        "the description sets a scaling.",
        f"Set one scaling for the whole data set, as in `images: {{scaling: {{low: {low:g}, high: {high:g}}}}}`.",
    )
