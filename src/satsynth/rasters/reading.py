"""Read raw rasters of any format by window."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from satsynth.datasets.description import ImageFormat, Scaling
from satsynth.rasters import pictures, tiffs
from satsynth.rasters.cache import RasterCache
from satsynth.rasters.opening import TIFF
from satsynth.rasters.tiffs import Window
from satsynth.work.errors import DataError

PLAIN = ImageFormat()


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
    if path.suffix.lower() in TIFF:
        with tiffs.reading(path) as source:
            crs = source.crs.to_string() if source.crs else None
            transform = None if source.transform.is_identity else tuple(source.transform)[:6]
            return RasterInfo(source.height, source.width, crs, transform)
    return RasterInfo(*pictures.picture_size(path))


def read_image(
    path: Path, window: Window | None = None, form: ImageFormat = PLAIN, decoded: RasterCache | None = None
) -> np.ndarray:
    """Read an image, or a window of it.

    Args:
        path: The file. TIFF is read by window; other formats are decoded as a whole.
        window: (x, y, width, height) in pixels, or None for the whole image.
        form: Which bands to read, and how intensities become 8 bit.
        decoded: Cache of files that are decoded as a whole.

    Returns:
        ``(height, width, 3)`` uint8 RGB.

    Raises:
        DataError: The file cannot be read, is truncated, or is not 8 bit and no scaling is given.
    """
    if _by_gdal(path):
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
    if _by_gdal(path):
        return tiffs.read_valid(path, form, window)
    if not pictures.has_transparency(path):
        return None
    return _picture(path, window, decoded)[..., 3] > 0


def read_raw_mask(
    path: Path, encoding: str, window: Window | None = None, decoded: RasterCache | None = None
) -> np.ndarray:
    """Read a mask, or a window of it, without converting its values.

    Args:
        path: PNG or TIFF file. A palette file gives indices or colours according to ``encoding``.
        encoding: ``index`` or ``color``.
        window: (x, y, width, height) in pixels, or None for the whole mask.
        decoded: Cache of files that are decoded as a whole.

    Returns:
        ``(height, width)`` ids, or ``(height, width, 3)`` uint8 RGB.

    Raises:
        DataError: The file cannot be read, is compressed with loss, or does not match ``encoding``.
    """
    if path.suffix.lower() in TIFF:
        mask = tiffs.read_mask_bands(path, encoding, window)
    else:
        mask = _cut(_whole(path, encoding, lambda: _decode_mask(path, encoding), decoded), window)
    if encoding == "index" and mask.dtype.kind not in "iub":
        raise DataError(
            f"{path} holds {mask.dtype} values; class ids must be whole numbers.",
            "Store it as 8-bit ids: gdal_translate -ot Byte mask.tif new.tif",
        )
    if encoding == "color" and mask.dtype != np.uint8:
        raise DataError(f"{path} holds {mask.dtype} values; colours must be 8 bit.", "Store it as 8-bit RGB.")
    if encoding == "index" and mask.ndim != 2:
        raise DataError(
            f"{path} holds colours ({mask.shape[2]} channels), but `masks.encoding` is `index`.",
            "Set `masks.encoding: color`.",
        )
    return mask


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
    return path.suffix.lower() in TIFF or pictures.is_deep_png(path)


def _decode_mask(path: Path, encoding: str) -> np.ndarray:
    deep = pictures.is_deep_png(path)
    return tiffs.read_mask_bands(path, encoding, None) if deep else pictures.decode_mask(path, encoding)


def _gdal_pixels(path: Path, window: Window | None, form: ImageFormat, decoded: RasterCache | None) -> np.ndarray:
    if path.suffix.lower() in TIFF:
        return tiffs.read_image_bands(path, form, window)
    # A PNG cannot be read by window: each window would decode it from the top.
    return _cut(_whole(path, "deep", lambda: tiffs.read_image_bands(path, form, None), decoded), window)


def _picture(path: Path, window: Window | None, decoded: RasterCache | None) -> np.ndarray:
    return _cut(_whole(path, "image", lambda: pictures.decode_image(path), decoded), window)


def _picked(pixels: np.ndarray, path: Path, form: ImageFormat) -> np.ndarray:
    if form.bands is None:
        return pixels if pixels.shape[2] == 3 else np.ascontiguousarray(pixels[..., :3])
    if max(form.bands) > 3:
        raise DataError(
            f"{path} has 3 bands, but `images.bands` asks for band {max(form.bands)}.",
            "Correct `images.bands` in the description.",
        )
    picked = [band - 1 for band in form.bands]
    return np.ascontiguousarray(pixels[..., picked if len(picked) == 3 else picked * 3])


def _whole(path: Path, kind: str, decode: Any, decoded: RasterCache | None) -> np.ndarray:
    return decode() if decoded is None else decoded.get(path, kind, decode)


def _cut(array: np.ndarray, window: Window | None) -> np.ndarray:
    if window is None:
        return array
    x, y, width, height = window
    return array[y : y + height, x : x + width]


def _not_8_bit(path: Path, dtype: np.dtype[Any], form: ImageFormat) -> DataError:
    low, high = tiffs.intensities(path, form)
    return DataError(
        f"{path} holds {dtype} values, 2 % of them below {low:g} and 2 % above {high:g}; images must be 8 bit unless "
        "the description sets a scaling.",
        f"Set one scaling for the whole data set, as in `images: {{scaling: {{low: {low:g}, high: {high:g}}}}}`.",
    )
