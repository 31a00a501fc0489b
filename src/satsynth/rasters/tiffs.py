"""GeoTIFF and other rasters that GDAL reads: by window, with any number of bands and any bit depth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.datasets.formats import ImageFormat
from satsynth.rasters.alpha import SAMPLED, holds_data
from satsynth.rasters.handles import Window, gdal_window, reading
from satsynth.rasters.pictures import lossy
from satsynth.work.errors import DataError


def read_image_bands(path: Path, form: ImageFormat, window: Window | None) -> np.ndarray:
    """Read the red, green and blue band.

    Returns:
        ``(height, width, 3)`` of the file's own type.

    Raises:
        DataError: The file cannot be read, or does not say which bands these are.
    """
    with reading(path) as source:
        bands = _image_bands(source, path, form)
        pixels = source.read(bands, window=gdal_window(window))
        if len(bands) == 1 and _palette(source):
            return _palette_colors(source)[pixels[0]]
    colors = pixels if len(bands) == 3 else pixels.repeat(3, axis=0)
    return np.ascontiguousarray(np.moveaxis(colors, 0, -1))


def read_valid(path: Path, form: ImageFormat, window: Window | None) -> np.ndarray | None:
    """Return which pixels of an image are valid: not nodata in all bands, not transparent and not NaN.

    Returns:
        ``(height, width)`` bool, or None if all pixels are valid.

    Raises:
        DataError: The file cannot be read, or does not say which bands are red, green and blue.
    """
    from rasterio.enums import MaskFlags

    with reading(path) as source:
        bands = _image_bands(source, path, form)
        flags = {flag for band in bands for flag in source.mask_flag_enums[band - 1]}
        alpha = form.alpha
        valid = None
        if MaskFlags.alpha in flags:
            alpha = alpha if form.bands is not None else _true_alpha(source, path)
        elif not flags <= {MaskFlags.all_valid}:
            valid = source.read_masks(bands, window=gdal_window(window)).any(axis=0)
        if alpha is not None:
            _require_band(source, path, alpha)
            opaque = source.read(alpha, window=gdal_window(window)) > 0
            valid = opaque if valid is None else valid & opaque
        if np.dtype(source.dtypes[bands[0] - 1]).kind == "f":
            finite = np.isfinite(source.read(bands, window=gdal_window(window))).all(axis=0)
            valid = finite if valid is None else valid & finite
        return valid


def alpha_holds_data(path: Path) -> bool | None:
    """Return whether the band that a file calls alpha holds other data, such as near infrared; None without one."""
    from rasterio.enums import ColorInterp

    with reading(path) as source:
        return None if ColorInterp.alpha not in source.colorinterp else _true_alpha(source, path) is None


def read_unlabelled(path: Path, bands: Sequence[int], window: Window | None) -> tuple[Any, Any]:
    """Return which pixels of a mask are transparent, and which hold the file's own nodata value or NaN.

    Args:
        path: The file.
        bands: Numbers of the bands of labels.
        window: (x, y, width, height) in pixels, or None for the whole file.

    Returns:
        Twice ``(height, width)`` bool, or None where there are no such pixels.
    """
    from rasterio.enums import MaskFlags

    with reading(path) as source:
        flags = source.mask_flag_enums[bands[0] - 1]
        clear = absent = None
        if MaskFlags.nodata in flags:
            absent = ~source.read_masks(list(bands), window=gdal_window(window)).any(axis=0)
        elif MaskFlags.alpha in flags:
            alpha = _true_alpha(source, path)
            clear = None if alpha is None else source.read(alpha, window=gdal_window(window)) == 0
        elif MaskFlags.per_dataset in flags:
            clear = source.read_masks(bands[0], window=gdal_window(window)) == 0
        if np.dtype(source.dtypes[bands[0] - 1]).kind == "f":
            nan = ~np.isfinite(source.read(list(bands), window=gdal_window(window))).all(axis=0)
            absent = nan if absent is None else absent | nan
        return clear, absent


def intensities(path: Path, form: ImageFormat) -> tuple[float, float]:
    """Estimate the 2nd and the 98th percentile of an image's intensities at a reduced resolution.

    Raises:
        DataError: The file cannot be read, or does not say which bands are red, green and blue.
    """
    with reading(path) as source:
        bands = _image_bands(source, path, form)
        shape = (len(bands), min(source.height, 512), min(source.width, 512))
        values = source.read(bands, out_shape=shape, masked=True).compressed()
    values = values[np.isfinite(values)]
    return tuple(np.percentile(values, (2, 98)).tolist()) if values.size else (0.0, 1.0)


def read_mask_bands(
    path: Path, encoding: str, window: Window | None, soft: bool = False
) -> tuple[np.ndarray, list[int]]:
    """Read a mask without converting its values; with ``soft``, lossy compression is allowed.

    Returns:
        ``(height, width)`` ids, or ``(height, width, 3)`` colours, and the numbers of the bands that hold them.

    Raises:
        DataError: The file cannot be read, has too few or too many bands, or is compressed with loss.
    """
    with reading(path) as source:
        how = _loss(source)
        if how and not soft:
            raise lossy(path, how)
        bands = _without_alpha(source)
        if encoding == "index":
            if len(bands) != 1:
                raise DataError(
                    f"{path} has {len(bands)} bands, but `masks.encoding` is `index`, which requires one band of ids.",
                    "Set `masks.encoding: color` if they are colours, or keep only the band of ids: "
                    "gdal_translate -b 1 mask.tif new.tif",
                )
            return np.asarray(source.read(bands[0], window=gdal_window(window))), bands
        if len(bands) == 1 and _palette(source):
            return _palette_colors(source)[source.read(1, window=gdal_window(window))], [1]
        if len(bands) < 3:
            raise DataError(
                f"{path} has {source.count} band(s), but a colour mask needs 3.", "Set `masks.encoding: index`."
            )
        shown = _named_colors(source) or bands[:3]
        return np.ascontiguousarray(np.moveaxis(source.read(shown, window=gdal_window(window)), 0, -1)), shown


def tiff_palette(path: Path) -> dict[int, tuple[int, ...]]:
    """Return the colour of each index of a palette file, or nothing for other files.

    Raises:
        DataError: The file cannot be read.
    """
    with reading(path) as source:
        return {index: color[:3] for index, color in source.colormap(1).items()} if _palette(source) else {}


def _loss(source: Any) -> str:
    """Return the name of the lossy compression of a file, or an empty string if it has none."""
    tags = source.tags(ns="IMAGE_STRUCTURE")
    compression = tags.get("COMPRESSION", "")
    # GDAL calls the common kind "YCbCr JPEG".
    if compression.endswith("JPEG"):
        return "JPEG"
    # LERC changes whole numbers if the allowed error is 1 or more.
    loses = tags.get("COMPRESSION_REVERSIBILITY") == "LOSSY" or float(tags.get("MAX_Z_ERROR", 0)) >= 1
    # JPEG 2000 is a format, not a compression within one.
    return (compression or "JPEG 2000") if loses else ""


def _image_bands(source: Any, path: Path, form: ImageFormat) -> list[int]:
    """Return the numbers of the red, green and blue band, or of the only grey one."""
    if form.bands is not None:
        _require_band(source, path, max(form.bands))
        return form.colors
    named = _named_colors(source)
    if named:
        return named
    colors = _without_alpha(source)
    if len(colors) not in (1, 3):
        raise DataError(
            f"{path} has {source.count} bands and does not say which are red, green and blue.",
            "Set them in the description, as in `images: {bands: [1, 2, 3]}`.",
        )
    return colors


def _require_band(source: Any, path: Path, band: int) -> None:
    if band > source.count:
        raise DataError(
            f"{path} has {source.count} band(s), but `images.bands` asks for band {band}.",
            "Correct `images.bands` in the description.",
        )


def _true_alpha(source: Any, path: Path) -> int | None:
    """Return the number of the band of transparency, or None if the band that has this name holds other data."""
    from rasterio.enums import ColorInterp

    band = source.colorinterp.index(ColorInterp.alpha) + 1
    return None if _holds_data(str(path), path.stat().st_mtime_ns, band) else band


@lru_cache(maxsize=4096)
def _holds_data(path: str, _: int, band: int) -> bool:
    with reading(Path(path)) as source:
        return holds_data(
            np.concatenate(
                [source.read(band, window=gdal_window(part)).ravel() for part in _sample(source.height, source.width)]
            )
        )


def _sample(height: int, width: int) -> list[Window | None]:
    """Return evenly spaced windows of a raster, or None for all of it if it is small."""
    if height * width <= SAMPLED:
        return [None]
    side = 128
    return [
        (int(x), int(y), min(side, width), min(side, height))
        for y in np.linspace(0, max(0, height - side), 8)
        for x in np.linspace(0, max(0, width - side), 8)
    ]


def _named_colors(source: Any) -> list[int] | None:
    """Return the numbers of the bands that a file marks as red, green and blue, or None."""
    from rasterio.enums import ColorInterp

    meaning = list(source.colorinterp)
    named = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
    return [meaning.index(color) + 1 for color in named] if all(color in meaning for color in named) else None


def _without_alpha(source: Any) -> list[int]:
    from rasterio.enums import ColorInterp

    return [band for band, color in enumerate(source.colorinterp, 1) if color != ColorInterp.alpha]


def _palette(source: Any) -> bool:
    from rasterio.enums import ColorInterp

    return source.colorinterp[0] == ColorInterp.palette


def _palette_colors(source: Any) -> np.ndarray:
    table = np.zeros((1 << 8 * np.dtype(source.dtypes[0]).itemsize, 3), np.uint8)
    for index, color in source.colormap(1).items():
        table[index] = color[:3]
    return table
