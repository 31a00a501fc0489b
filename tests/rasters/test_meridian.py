"""Polygons at 180 degrees of longitude are kept, however they and their image write that place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from made_data import describe
from satsynth.rasters.meridian import places_in
from satsynth.rasters.reading import raster_info
from satsynth.rasters.vectors import Polygons
from satsynth.work.errors import DataError

WGS, UTM_60, UTM_1, MERCATOR = "EPSG:4326", "EPSG:32660", "EPSG:32601", "EPSG:3857"
SIDE = 40
# In degrees: 40 pixels from 179.8 to 180.2 east, 17.2 to 16.8 south of it.
DEGREES = Affine(0.01, 0, 179.8, 0, -0.01, -16.8)
# A rectangle from 179.9 to 180.1 east, as one and as RFC 7946 splits it, and one on each side.
WHOLE = shapely.box(179.9, -17.0, 180.1, -16.9)
SPLIT = shapely.MultiPolygon([shapely.box(179.9, -17.0, 180, -16.9), shapely.box(-180, -17.0, -179.9, -16.9)])
CLASSES = [{"name": "ground", "raw": "-", "color": "#000000"}, {"name": "roof", "raw": "roof", "color": "#FF0000"}]
DESCRIPTION = describe(
    masks={"encoding": "attribute", "reader": "vector", "attribute": "kind", "outside": "ground"},
    classes=CLASSES,
    ignore=[],
)


def image(path: Path, crs: str, grid: Affine) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=SIDE, width=SIDE, dtype="uint8", crs=crs, transform=grid
    ) as file:
        file.write(np.zeros((1, SIDE, SIDE), np.uint8))
    return path


def labels(path: Path, *shapes: shapely.Geometry, crs: str = WGS) -> Path:
    features = [
        {"type": "Feature", "properties": {"kind": "roof"}, "geometry": shapely.geometry.mapping(shape)}
        for shape in shapes
    ]
    named = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{crs.split(':')[1]}"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": named, "features": features}))
    return path


def read(folder: Path, file: Path) -> np.ndarray:
    polygons, info = Polygons(DESCRIPTION), raster_info(folder / "a.tif")
    whole = polygons.read(file, info, None)
    for window in ((0, 0, 20, 40), (20, 0, 20, 40), (5, 7, 30, 20)):
        x, y, width, height = window
        np.testing.assert_array_equal(polygons.read(file, info, window), whole[y : y + height, x : x + width])
    return whole


WANTED = np.zeros((SIDE, SIDE), np.uint8)
WANTED[10:20, 10:30] = 1


@pytest.mark.parametrize("turn", [0, -360], ids=["180.2 east", "180.2 west"])
@pytest.mark.parametrize("shape", [SPLIT, WHOLE, shapely.transform(WHOLE, lambda xy: xy - (360, 0))])
def test_an_image_in_degrees_beyond_180_gets_all_polygons(tmp_path: Path, turn: int, shape: shapely.Geometry) -> None:
    image(tmp_path / "a.tif", WGS, Affine.translation(turn, 0) @ DEGREES)
    np.testing.assert_array_equal(read(tmp_path, labels(tmp_path / "a.geojson", shape)), WANTED)


def test_an_image_that_counts_to_360_gets_polygons_of_the_west(tmp_path: Path) -> None:
    image(tmp_path / "a.tif", WGS, Affine.translation(20, 0) @ DEGREES)
    west = shapely.box(-160.1, -17.0, -159.9, -16.9)
    np.testing.assert_array_equal(read(tmp_path, labels(tmp_path / "a.geojson", west)), WANTED)


@pytest.mark.parametrize("parts", [[SPLIT], list(SPLIT.geoms)], ids=["one feature", "two"])
def test_a_utm_image_across_180_gets_both_halves(tmp_path: Path, parts: list[shapely.Geometry]) -> None:
    from rasterio.warp import transform

    (x,), (y,) = transform(WGS, UTM_60, [180.0], [-17.0])
    image(tmp_path / "a.tif", UTM_60, Affine(1000, 0, x - 20_000, 0, -1000, y + 20_000))
    found = read(tmp_path, labels(tmp_path / "a.geojson", *parts))
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    east, north = transform(UTM_60, WGS, (x - 20_000 + 1000 * columns).ravel(), (y + 20_000 - 1000 * rows).ravel())
    inside = shapely.contains_xy(WHOLE, np.mod(east, 360), north).reshape(SIDE, SIDE)
    assert (
        inside.any() and (found != inside).mean() < 0.01 and (found[:, :20] == 1).any() and (found[:, 20:] == 1).any()
    )


def test_polygons_of_the_neighbouring_zone_are_placed(tmp_path: Path) -> None:
    from rasterio.warp import transform

    (x,), (y,) = transform(WGS, UTM_60, [180.0], [-17.0])
    image(tmp_path / "a.tif", UTM_60, Affine(1000, 0, x - 20_000, 0, -1000, y + 20_000))
    xs, ys = transform(UTM_60, UTM_1, [x + 5000, x + 15_000, x + 15_000, x + 5000], [y, y, y + 8000, y + 8000])
    found = read(tmp_path, labels(tmp_path / "a.geojson", shapely.Polygon(list(zip(xs, ys, strict=True))), crs=UTM_1))
    wanted = np.zeros((SIDE, SIDE), np.uint8)
    wanted[12:20, 25:35] = 1
    np.testing.assert_array_equal(found, wanted)


def test_a_map_that_ends_at_180_degrees_is_refused_beyond_it_and_taken_up_to_it(tmp_path: Path) -> None:
    edge = 20037508.342789244
    image(tmp_path / "a.tif", MERCATOR, Affine(100, 0, edge - 2000, 0, -100, 2000))
    file = labels(tmp_path / "a.geojson", shapely.box(179.9, -0.1, 180, 0.1), shapely.box(-180, -0.1, -179.9, 0.1))
    with pytest.raises(DataError, match="reaches beyond 180 degrees of longitude") as caught:
        read(tmp_path, file)
    assert "UTM" in caught.value.remedy
    image(tmp_path / "a.tif", MERCATOR, Affine(100, 0, edge - 4000, 0, -100, 2000))
    assert (read(tmp_path, file) == 1).all()


def test_places_elsewhere_stay_one() -> None:
    assert places_in((10.0, 20.0, 30.0, 40.0), WGS, WGS) == [(10.0, 20.0, 30.0, 40.0)]
    assert len(places_in((4e5, 2.7e6, 4.1e5, 2.8e6), "EPSG:32640", WGS)) == 1
