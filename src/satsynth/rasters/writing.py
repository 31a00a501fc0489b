"""Writing rasters: GeoTIFF where their place on Earth is known, otherwise PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from affine import Affine

from satsynth.work.files import atomic


def write_raster(
    folder: Path, name: str, pixels: np.ndarray, crs: str | None, transform: Sequence[float] | None
) -> Path:
    """Write a raster atomically; return its path.

    Args:
        folder: Folder of rasters.
        name: Its name below the folder, without suffix.
        pixels: ``(H, W)`` uint8 or uint16, or ``(H, W, 3)`` uint8 RGB.
        crs: Coordinate reference system, or None.
        transform: Six coefficients of the affine transform of its grid, or None.
    """
    placed = crs is not None and transform is not None
    path = folder / f"{name}.{'tif' if placed else 'png'}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        if crs is not None and transform is not None:
            write_geotiff(temporary, pixels, crs, Affine(*transform))
        else:
            done, data = cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)
            if not done:
                raise RuntimeError(f"OpenCV could not encode an array of shape {pixels.shape} as PNG")
            temporary.write_bytes(data.tobytes())
    return path


def write_geotiff(path: Path, pixels: np.ndarray, crs: str, transform: Affine) -> None:
    """Write a GeoTIFF, compressed without loss; not atomically.

    Args:
        path: The file.
        pixels: ``(H, W)``, or ``(H, W, 3)`` uint8 RGB.
        crs: Coordinate reference system.
        transform: Affine transform of its grid.
    """
    import rasterio

    bands = np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels[None]
    count, height, width = bands.shape
    profile = {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": bands.dtype,
        "crs": crs,
        "transform": transform,
        "compress": "deflate",
    }
    if count == 3:
        profile["photometric"] = "RGB"
    with rasterio.open(path, "w", **profile) as file:
        file.write(bands)
