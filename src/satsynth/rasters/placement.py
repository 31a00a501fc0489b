"""Where pixels lie on Earth, and checks that a mask has its image's shape and place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from satsynth.rasters.reading import RasterInfo
from satsynth.work.errors import DataError

# In pixels of the coarser grid. Differences in rounding between programs are smaller.
TOLERANCE = 0.5
Bounds = tuple[float, float, float, float]
_IF_RIGHT = (
    "If their pixels do belong together, remove the wrong georeference from the mask instead: "
    "gdal_edit.py -unsetgt -a_srs None mask.tif"
)


def bounds_of(transform: Sequence[float], columns: Sequence[float], rows: Sequence[float]) -> Bounds:
    """Return (left, bottom, right, top) of a window in the coordinates of its map.

    Args:
        transform: Six coefficients of the affine transform of the grid.
        columns: First column, and the one after the last.
        rows: First row, and the one after the last.
    """
    a, b, c, d, e, f = transform
    east = [a * x + b * y + c for x in columns for y in rows]
    north = [d * x + e * y + f for x in columns for y in rows]
    return min(east), min(north), max(east), max(north)


def check_shape(image: Path, of_image: RasterInfo, mask: str, of_mask: RasterInfo, align: str) -> None:
    """Refuse a mask that cannot cover its image.

    Args:
        image: The image.
        of_image: Its size.
        mask: Path of the mask, for the message.
        of_mask: The mask's size.
        align: ``exact`` requires the same size, ``nearest`` the same shape.

    Raises:
        DataError: The sizes, or the shapes, differ.
    """
    height, width = of_image.height, of_image.width
    if (of_mask.height, of_mask.width) == (height, width):
        return
    sizes = f"{image} is {width} x {height} pixels, but its mask {mask} is {of_mask.width} x {of_mask.height}"
    if (of_mask.height, of_mask.width) == (width, height):
        raise DataError(
            f"{sizes}: one of them is rotated by 90 degrees.",
            "Rotate one of them. Photographs are turned upright according to their EXIF orientation.",
        )
    if align == "exact":
        raise DataError(f"{sizes}.", "Export both at the same size, or remove both.")
    # Sides are whole numbers of pixels, so the shapes may differ by up to one pixel.
    rounding = max(height + width, of_mask.height + of_mask.width)
    if abs(of_mask.height * width - of_mask.width * height) > rounding:
        raise DataError(
            f"{sizes}: the shapes differ, so they do not cover the same area.",
            "Export both for the same area, or remove both.",
        )


def check_place(mask: Path, of_mask: RasterInfo, image: str, of_image: RasterInfo) -> None:
    """Refuse a mask whose georeference puts it elsewhere than its image, or upside down; masks without one pass.

    Args:
        mask: The mask.
        of_mask: Its size and georeference.
        image: Path of the image, for the message.
        of_image: The image's size and georeference. It has the same shape as the mask.

    Raises:
        DataError: Their corners lie more than half a pixel apart, or the rows of one run north and of the other south.
    """
    if (of_image.crs is None) != (of_mask.crs is None):
        _check_directions(mask, of_mask, image, of_image)
        return
    distance = _distance(of_image, of_mask)
    if distance <= TOLERANCE:
        return
    far = f"{distance:,.1f} pixels away from the image's" if math.isfinite(distance) else "outside the image's map"
    raise DataError(
        f"{mask} lies elsewhere on Earth than its image {image}: its corners are {far} "
        f"(mask in {of_mask.crs or 'no system'}, image in {of_image.crs or 'no system'}).",
        f"Warp the mask onto its image: {_warp(of_image)}. {_IF_RIGHT}",
    )


def _check_directions(mask: Path, of_mask: RasterInfo, image: str, of_image: RasterInfo) -> None:
    """Refuse two grids whose rows or columns run in opposite directions, if one of them names no system."""
    if of_image.transform is None or of_mask.transform is None:
        return
    # Coordinates that count pixels from the upper left corner say nothing about north.
    if any(grid[2] == grid[5] == 0 for grid in (of_image.transform, of_mask.transform)):
        return
    (a, b, _, d, e, _), (u, v, _, x, y, _) = of_image.transform, of_mask.transform
    if a * u + d * x >= 0 and b * v + e * y >= 0:
        return
    what = "columns" if a * u + d * x < 0 else "rows"
    on_it = _overlap(*(bounds_of(i.transform or (), (0, i.width), (0, i.height)) for i in (of_image, of_mask)))
    system = of_image.crs or of_mask.crs
    remedy = (
        f"Warp the mask onto its image: {_warp(of_image, f'-s_srs {system} -t_srs {system} ')}."
        if on_it
        else "Give both files their coordinate reference system (gdal_edit.py -a_srs EPSG:...)."
    )
    raise DataError(
        f"{mask} has its {what} in the opposite direction of its image {image}, as files that begin in the south do "
        f"(mask in {of_mask.crs or 'no system'}, image in {of_image.crs or 'no system'}).",
        f"{remedy} {_IF_RIGHT}",
    )


def _overlap(a: Bounds, b: Bounds) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _distance(of_image: RasterInfo, of_mask: RasterInfo) -> float:
    """Return the distance between the corners of mask and image in pixels of the coarser one, or 0 if it is unknown."""
    if of_image.transform is None or of_mask.transform is None:
        return 0.0
    from affine import Affine

    shares = [(0, 0), (1, 0), (0, 1), (1, 1)]
    there = Affine(*of_mask.transform)
    xs, ys = zip(*(there @ (x * of_mask.width, y * of_mask.height) for x, y in shares), strict=True)
    xs, ys = _moved(xs, ys, of_mask.crs, of_image.crs)
    back = ~Affine(*of_image.transform)
    coarser = max(1.0, of_image.width / of_mask.width, of_image.height / of_mask.height)
    distances = []
    for (x, y), east, north in zip(shares, xs, ys, strict=True):
        column, row = back @ (east, north)
        distances.append(math.hypot(column - x * of_image.width, row - y * of_image.height) / coarser)
    return max(distances) if all(map(math.isfinite, distances)) else math.inf


def _moved(
    xs: tuple[float, ...], ys: tuple[float, ...], source: str | None, target: str | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if source == target:
        return xs, ys
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError
    from rasterio.warp import transform

    try:
        moved = transform(source, target, xs, ys)
    except (RasterioError, CPLE_BaseError):
        return (math.inf,) * len(xs), (math.inf,) * len(ys)
    return tuple(moved[0]), tuple(moved[1])


def _warp(of_image: RasterInfo, systems: str | None = None) -> str:
    from affine import Affine

    grid = Affine(*(of_image.transform or ()))
    left, top = grid @ (0, 0)
    right, bottom = grid @ (of_image.width, of_image.height)
    if systems is None:
        systems = f"-t_srs {of_image.crs} " if of_image.crs else ""
    place = f"-te {left:.10g} {bottom:.10g} {right:.10g} {top:.10g} -ts {of_image.width} {of_image.height}"
    return f"gdalwarp {systems}{place} -r near mask.tif new.tif"
