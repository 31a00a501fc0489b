"""Bounds and polygons at 180 degrees of longitude, where RFC 7946 splits polygons and longitudes jump by 360."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from satsynth.rasters.placement import Bounds
from satsynth.work.errors import DataError

# In shares of the image's size.
_ROUNDING = 0.01
_TURNS = (0, -360, 360)


def places_in(bounds: Bounds, source: str, target: str, whole: Bounds | None = None) -> list[Bounds]:
    """Return bounds in another coordinate reference system: several, a turn apart, if the image crosses 180 degrees.

    Args:
        bounds: (left, bottom, right, top) in the source system.
        source: Its coordinate reference system.
        target: The other system.
        whole: Bounds of the whole image, if the bounds are a part of it.
    """
    from rasterio.crs import CRS

    left, bottom, right, top = _moved(bounds, source, target)
    if not CRS.from_user_input(target).is_geographic or not _crosses(_moved(whole or bounds, source, target)):
        return [(left, bottom, right, top)]
    return [(left + turn, bottom, right + turn, top) for turn in _TURNS]


def around(geometry: Any, whole: Bounds, crs: str) -> list[Any]:
    """Return a geometry of an image's system as often as it may be shown: a turn further on beyond 180 degrees.

    Args:
        geometry: GeoJSON-like mapping.
        whole: (left, bottom, right, top) of the whole image.
        crs: The image's coordinate reference system.
    """
    from rasterio.crs import CRS

    if not _crosses(whole) or not CRS.from_user_input(crs).is_geographic:
        return [geometry]
    import shapely
    import shapely.affinity

    shape = shapely.geometry.shape(geometry)
    return [shapely.geometry.mapping(shapely.affinity.translate(shape, turn)) for turn in _TURNS]


def _crosses(degrees: Bounds) -> bool:
    return degrees[0] < -180 or degrees[2] > 180


def _moved(bounds: Bounds, source: str, target: str) -> Bounds:
    from rasterio.crs import CRS
    from rasterio.warp import transform_bounds

    there = CRS.from_user_input(target)
    if CRS.from_user_input(source) == there:
        return bounds
    left, bottom, right, top = transform_bounds(source, target, *bounds)
    # The left edge lies in the east if the bounds cross 180 degrees.
    return left, bottom, right + 360 if there.is_geographic and left > right else right, top


def require_continuous(path: Path, bounds: Bounds, crs: str) -> None:
    """Refuse an image that reaches beyond 180 degrees in a map that ends there, such as Web Mercator.

    Args:
        path: The file of polygons, for the message.
        bounds: (left, bottom, right, top) of the image.
        crs: The image's coordinate reference system.

    Raises:
        DataError: Coordinates of the image do not come back from longitude and latitude.
    """
    from rasterio.crs import CRS
    from rasterio.warp import transform

    here = CRS.from_user_input(crs)
    if here.is_geographic:
        return
    left, bottom, right, top = bounds
    xs, ys = [left, right, right, left], [bottom, bottom, top, top]
    longitudes, latitudes = transform(here, "EPSG:4326", xs, ys)
    back, _ = transform("EPSG:4326", here, longitudes, latitudes)
    if max(abs(x - y) for x, y in zip(xs, back, strict=True)) > _ROUNDING * (right - left):
        raise DataError(
            f"{path} belongs to an image that reaches beyond 180 degrees of longitude, where its map ({crs}) ends.",
            "Warp the image to a system around its centre, such as its UTM zone: "
            "gdalwarp -t_srs EPSG:... old.tif new.tif",
        )
