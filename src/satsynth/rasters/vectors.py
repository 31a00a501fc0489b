"""Labels as polygons in any coordinate reference system, rasterised window by window on an image's grid."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.datasets.description import DatasetDescription
from satsynth.rasters.belonging import vector_files
from satsynth.rasters.cache import unreadable
from satsynth.rasters.handles import Window
from satsynth.rasters.meridian import around, places_in, require_continuous
from satsynth.rasters.opening import VECTORS, require_plain, require_vector, vector_library
from satsynth.rasters.placement import Bounds, bounds_of
from satsynth.rasters.reading import RasterInfo
from satsynth.work.errors import DataError
from satsynth.work.ignore import IGNORE_INDEX


@dataclass(frozen=True)
class VectorInfo:
    """Metadata of a layer."""

    layer: str
    crs: str | None
    fields: tuple[str, ...]
    bounds: Bounds | None
    empty: bool = False


class Codes:
    """Class indices of labels that are text.

    Args:
        description: The data set.
    """

    def __init__(self, description: DatasetDescription) -> None:
        """Prepare the table."""
        self._codes = {str(c.raw): index for index, c in enumerate(description.classes)}
        self._codes |= {str(value): IGNORE_INDEX for value in description.ignore}
        outside = description.masks.outside
        self.outside = description.class_names.index(outside) if outside else IGNORE_INDEX

    def require_background(self, path: Path, what: str) -> None:
        """Refuse a file without polygons if the description does not say what is outside of polygons.

        Raises:
            DataError: `masks.outside` is not set.
        """
        if self.outside == IGNORE_INDEX:
            raise DataError(
                f"{path} {what}, and the description does not say what pixels without polygons are.",
                "Name their class with `masks.outside` in the description, or remove the image.",
            )

    def known(self, path: Path, values: Sequence[str], what: str) -> list[int]:
        """Return the class index of each label.

        Raises:
            DataError: The description does not know one of them.
        """
        unknown = Counter(value for value in values if value not in self._codes)
        if unknown:
            value, count = unknown.most_common(1)[0]
            near = difflib.get_close_matches(value, list(self._codes), 1)
            more = f", and {len(unknown) - 1} more such values" if len(unknown) > 1 else ""
            raise DataError(
                f"{path} has {count} polygon(s) whose {what} is '{value}'{more}, which is "
                f"not in the description; its values are {', '.join(self._codes)}.",
                (f"Did you mean '{near[0]}'? " if near else "")
                + "Correct the polygons, or add the value to `classes` or `ignore`.",
            )
        return [self._codes[value] for value in values]


class Polygons:
    """Reads masks from files of polygons.

    A pixel belongs to the polygon that contains its centre. Where polygons overlap, the later one in the file wins.

    Args:
        description: The data set.
    """

    def __init__(self, description: DatasetDescription) -> None:
        """Prepare the table from attribute values to classes."""
        self._masks = description.masks
        self._attribute = str(description.masks.attribute)
        self._codes = Codes(description)
        self._outside = self._codes.outside

    def check(self, path: Path, info: RasterInfo, shared: bool = False) -> VectorInfo:
        """Check that polygons can be rasterised on an image's grid.

        A file without polygons belongs to an image of background.

        Args:
            path: The file of polygons.
            info: Size and georeference of the image.
            shared: Whether other images have the same file, so that this one may lie outside of all polygons.

        Raises:
            DataError: Image or polygons have no georeference, the attribute or layer does not exist, all polygons lie
                outside the image, or nothing says what an image without polygons shows.
        """
        found = vector_info(path, self._masks.layer)
        if found.empty:
            self._codes.require_background(path, "has no polygons")
            return found
        if self._attribute not in found.fields:
            raise DataError(
                f"{path} has no attribute '{self._attribute}'; its attributes are {', '.join(found.fields) or 'none'}.",
                "Correct `masks.attribute` in the description.",
            )
        if info.crs is None or info.transform is None:
            raise DataError(
                f"{path} holds polygons, but their image has no coordinate reference system.",
                "Assign one to it (gdal_translate -a_srs EPSG:... -a_ullr ...), or rasterise the polygons yourself.",
            )
        if found.crs is None:
            raise DataError(
                f"{path} has no coordinate reference system, so its polygons cannot be placed on the image.",
                "Assign the right one: ogr2ogr -a_srs EPSG:... new.gpkg old.gpkg",
            )
        whole = _bounds(info, (0, 0, info.width, info.height))
        require_continuous(path, whole, info.crs)
        places = places_in(whole, info.crs, found.crs)
        if found.bounds is not None and not any(_overlap(place, found.bounds) for place in places):
            if shared:
                self._codes.require_background(path, "has no polygons in this image")
                return replace(found, empty=True)
            raise DataError(
                f"{path} has all its polygons outside the image: they lie in {_shown(found.bounds)} of {found.crs}, "
                f"the image in {_shown(places[0])}.",
                "Check which polygons belong to which image, and that both have the right coordinate reference system.",
            )
        return found

    def read(self, path: Path, info: RasterInfo, window: Window | None) -> np.ndarray:
        """Rasterise the polygons that touch a window, without reading the others.

        Args:
            path: The file of polygons.
            info: Size and georeference of the image.
            window: (x, y, width, height) in the image's pixels, or None for the whole image.

        Returns:
            ``(h, w)`` uint8 of class indices, 255 = ignore.

        Raises:
            DataError: The file cannot be used, or holds attribute values that are not in the description.
        """
        from rasterio.features import rasterize

        found = self.check(path, info, shared=True)
        part = window or (0, 0, info.width, info.height)
        shape = (part[3], part[2])
        if found.empty:
            return np.full(shape, self._outside, np.uint8)
        whole = _bounds(info, (0, 0, info.width, info.height))
        places = places_in(_bounds(info, part), str(info.crs), str(found.crs), whole)
        geometries, values = _features(path, found.layer, self._attribute, places)
        codes = self._codes.known(path, values, f"attribute '{self._attribute}'")
        self._require_polygons(path, geometries)
        moved = _moved(geometries, str(found.crs), str(info.crs))
        shapes = [
            (shown, code)
            for geometry, code in zip(moved, codes, strict=True)
            for shown in around(geometry, whole, str(info.crs))
        ]
        if not shapes:
            return np.full(shape, self._outside, np.uint8)
        grid = _transform(info, part)
        return np.asarray(rasterize(shapes, shape, fill=self._outside, transform=grid, dtype="uint8"))

    def _require_polygons(self, path: Path, geometries: np.ndarray) -> None:
        kinds = {geometry.geom_type for geometry in geometries}
        others = kinds - {"Polygon", "MultiPolygon"}
        if others:
            raise DataError(
                f"{path} holds {', '.join(sorted(others))} where polygons are expected.",
                "Remove them, or turn them into areas (ST_Buffer).",
            )


def vector_info(path: Path, layer: str | None) -> VectorInfo:
    """Return the metadata of a layer.

    Raises:
        DataError: The file cannot be read, or has several layers and none is chosen.
    """
    require_plain(path)
    return _vector_info(str(path), tuple(file.stat().st_mtime_ns for file in vector_files(path)), layer)


@lru_cache(maxsize=4096)
def _vector_info(path: str, _: tuple[int, ...], layer: str | None) -> VectorInfo:
    require_vector(Path(path))
    pyogrio = vector_library()
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        layers = [str(name) for name, _ in pyogrio.list_layers(path)]
        if layer is None and len(layers) != 1:
            raise DataError(
                f"{path} has {len(layers)} layers: {', '.join(layers)}.",
                "Choose one with `masks.layer` in the description.",
            )
        chosen = layer or layers[0]
        info = pyogrio.read_info(path, layer=chosen, force_total_bounds=True)
    except (DataSourceError, DataLayerError) as error:
        raise unreadable(Path(path), error) from error
    expected = VECTORS[Path(path).suffix.lower()]
    if info["driver"] != expected:
        raise DataError(f"{path} is not {expected} but {info['driver']}.", "Give the file the suffix of its format.")
    bounds = info["total_bounds"]
    known = bounds is not None and info["features"] != 0 and all(np.isfinite(bounds))
    left, bottom, right, top = (float(value) for value in bounds) if known else (0.0,) * 4
    return VectorInfo(
        chosen,
        info["crs"],
        tuple(map(str, info["fields"])),
        (left, bottom, right, top) if known else None,
        info["features"] == 0,
    )


def _features(path: Path, layer: str, attribute: str, places: Sequence[Bounds]) -> tuple[np.ndarray, list[str]]:
    """Read the geometries that touch one of some bounds, in the file's order, and their attribute as text."""
    import shapely
    from pyogrio.errors import DataSourceError, FeatureError, GeometryError
    from pyogrio.raw import read

    try:
        parts = [read(path, layer=layer, columns=[attribute], bbox=place, return_fids=True)[1:] for place in places]
    except (DataSourceError, FeatureError, GeometryError) as error:
        raise unreadable(path, error) from error
    parts = [part for part in parts if part[1] is not None and len(part[1])]
    if not parts:
        return np.zeros(0, object), []
    fids, wkb, column = (
        np.concatenate(some) for some in zip(*((fids, wkb, columns[0]) for fids, wkb, columns in parts), strict=True)
    )
    # With a spatial index, features arrive in another order than in the file.
    _, order = np.unique(fids, return_index=True)
    geometries = shapely.from_wkb(wkb[order])
    kept = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    return geometries[kept], [attribute_text(value) for value in column[order][kept]]


def attribute_text(value: Any) -> str:
    """Return an attribute as a description writes it: whole numbers without a decimal point, nothing as `null`."""
    if value is None or value != value:
        return "null"
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _moved(geometries: np.ndarray, source: str, target: str) -> list[Any]:
    """Transform geometries to another coordinate reference system."""
    from rasterio.crs import CRS
    from rasterio.warp import transform_geom

    mappings = [geometry.__geo_interface__ for geometry in geometries]
    if not mappings or CRS.from_user_input(source) == CRS.from_user_input(target):
        return mappings
    return list(transform_geom(source, target, mappings))


def _transform(info: RasterInfo, window: Window) -> Any:
    from affine import Affine

    return Affine(*(info.transform or ())) @ Affine.translation(window[0], window[1])


def _bounds(info: RasterInfo, window: Window) -> Bounds:
    x, y, width, height = window
    return bounds_of(info.transform or (), (x, x + width), (y, y + height))


def _overlap(a: Bounds, b: Bounds) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _shown(bounds: Bounds) -> str:
    return f"x {bounds[0]:g} to {bounds[2]:g}, y {bounds[1]:g} to {bounds[3]:g}"
