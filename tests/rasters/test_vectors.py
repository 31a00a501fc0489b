from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pydantic import ValidationError
from rasterio.crs import CRS
from rasterio.warp import transform

from made_data import describe, picture
from satsynth.datasets.description import DatasetDescription
from satsynth.datasets.labels import LabelMap
from satsynth.rasters.reading import raster_info
from satsynth.rasters.vectors import Polygons
from satsynth.scenes.checking import check_scenes, unusable_files
from satsynth.scenes.finding import find_scenes, search_scenes
from satsynth.scenes.scene import SceneReader
from satsynth.work.errors import DataError
from satsynth.work.files import file_digest
from satsynth.work.ignore import IGNORE_INDEX

UTM, WGS = "EPSG:32640", "EPSG:4326"
# Slightly rotated, like some scenes.
GRID = Affine(0.5, 0.05, 400_000, 0.05, -0.5, 2_780_000)
HEIGHT, WIDTH = 60, 80
CLASSES = [
    {"name": "ground", "raw": "-", "color": "#000000"},
    {"name": "roof", "raw": "facade", "color": "#FF0000"},
    {"name": "road", "raw": "7", "color": "#00FF00"},
]
# In pixels of the image: x, y of each corner.
SHAPES: list[tuple[str, list[tuple[float, float]], list[tuple[float, float]]]] = [
    ("facade", [(5.2, 5.3), (40.7, 8.1), (35.4, 30.6), (8.8, 33.2)], [(15.3, 12.2), (25.1, 12.9), (20.4, 22.7)]),
    ("7", [(30.1, -20.4), (50.3, -20.2), (70.8, 90.1), (60.9, 90.7)], []),
    ("unsure", [(60.2, 40.3), (79.1, 41.2), (78.3, 58.8)], []),
    ("facade", [(200.1, 200.2), (220.3, 200.1), (210.2, 220.4)], []),
]
LAYOUT = {
    "kind": "files",
    "pattern": r"(?P<name>\w+)\.tif",
    "mask": "{name}.geojson",
    "scene": "{name}",
    "group": "{name}",
}
MASKS = {"encoding": "attribute", "reader": "vector", "attribute": "kind", "outside": "ground"}


def described(**masks: Any) -> DatasetDescription:
    return describe(
        layout=LAYOUT,
        masks={**MASKS, **masks},
        classes=CLASSES,
        ignore=["unsure"],
        splits={"val": ["b"], "test": ["c"]},
    )


def write_image(path: Path, crs: str | None = UTM, grid: Affine | None = GRID, seed: int = 0) -> None:
    place = {"crs": crs, "transform": grid} if grid else {}
    with rasterio.open(
        path, "w", driver="GTiff", count=3, height=HEIGHT, width=WIDTH, dtype="uint8", photometric="RGB", **place
    ) as file:
        file.write(np.moveaxis(picture(np.random.default_rng(seed), HEIGHT, WIDTH), -1, 0))


def geojson(shapes: Any = SHAPES, crs: str = WGS, **properties: Any) -> dict[str, Any]:
    """Return polygons as GeoJSON, transformed from pixels to a coordinate reference system."""

    def ring(corners: list[tuple[float, float]]) -> list[tuple[float, float]]:
        xs, ys = zip(*[GRID @ corner for corner in [*corners, corners[0]]], strict=True)
        return list(zip(*transform(UTM, crs, xs, ys), strict=True))

    features = [
        {
            "type": "Feature",
            "properties": {"kind": kind, **properties},
            "geometry": {"type": "Polygon", "coordinates": [ring(outer), *([ring(hole)] if hole else [])]},
        }
        for kind, outer, hole in shapes
    ]
    named = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{crs.split(':')[1]}"}}
    return {"type": "FeatureCollection", "name": "labels", "crs": named, "features": features}


def write_geojson(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(geojson(**changes)))


def by_hand() -> np.ndarray:
    """Return the mask by testing which polygon contains the centre of each pixel."""
    codes = {"facade": 1, "7": 2, "unsure": IGNORE_INDEX}
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for kind, outer, hole in SHAPES:
        polygon = shapely.Polygon(outer, [hole] if hole else [])
        mask[shapely.contains_xy(polygon, x, y)] = codes[kind]
    return mask


@dataclass
class Made:
    folder: Path
    description: DatasetDescription

    @property
    def reader(self) -> SceneReader:
        return SceneReader(self.description, self.folder)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    for seed, name in enumerate("abc"):
        write_image(tmp_path / f"{name}.tif", seed=seed)
        write_geojson(tmp_path / f"{name}.geojson")
    return Made(tmp_path, described())


def test_polygons_in_another_reference_system_fall_on_the_pixels_whose_centre_they_hold(made: Made) -> None:
    scenes = find_scenes(made.description, made.folder, file_digest)
    check_scenes(scenes, made.reader, workers=2)
    wanted = by_hand()
    assert {0, 1, 2, IGNORE_INDEX} == set(np.unique(wanted))
    for scene in scenes:
        _, mask = made.reader.read(scene, 0, 0, HEIGHT, WIDTH)
        # The error of a round trip to WGS 84 is far less than a pixel.
        assert (mask != wanted).mean() < 1e-3


@pytest.mark.parametrize("crs", [UTM, WGS, "EPSG:3857"])
def test_windows_are_parts_of_the_whole(tmp_path: Path, crs: str) -> None:
    write_image(tmp_path / "a.tif")
    write_geojson(tmp_path / "a.geojson", crs=crs)
    info, polygons = raster_info(tmp_path / "a.tif"), Polygons(described())
    whole = polygons.read(tmp_path / "a.geojson", info, None)
    for x, y, width, height in ((0, 0, 16, 16), (30, 20, 33, 27), (64, 44, 16, 16), (79, 59, 1, 1)):
        part = polygons.read(tmp_path / "a.geojson", info, (x, y, width, height))
        np.testing.assert_array_equal(part, whole[y : y + height, x : x + width])


def test_only_polygons_that_touch_the_window_are_read(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyogrio import raw

    seen = []
    real = raw.read

    def counting(*args: Any, **options: Any) -> Any:
        result = real(*args, **options)
        seen.append(len(result[1]))
        return result

    monkeypatch.setattr(raw, "read", counting)
    info, polygons = raster_info(made.folder / "a.tif"), Polygons(made.description)
    polygons.read(made.folder / "a.geojson", info, (0, 50, 8, 8))
    polygons.read(made.folder / "a.geojson", info, (66, 42, 8, 8))
    polygons.read(made.folder / "a.geojson", info, None)
    assert seen == [0, 1, 3]


def test_a_geopackage_with_one_file_for_all_images_and_a_layer_of_its_own(made: Made) -> None:
    import pyogrio.raw

    geometries = [
        shapely.Polygon([GRID @ p for p in outer], [[GRID @ p for p in hole]] if hole else [])
        for _, outer, hole in SHAPES
    ]
    for layer in ("other", "labels"):
        pyogrio.raw.write(
            made.folder / "all.gpkg",
            shapely.to_wkb(np.array(geometries, object)),
            [np.array([kind for kind, _, _ in SHAPES], object)],
            ["kind"],
            layer=layer,
            crs=UTM,
            geometry_type="Polygon",
            append=layer == "labels",
        )
    description = made.description.model_copy(
        update={"layout": made.description.layout.model_copy(update={"mask": "all.gpkg"})}
    )
    with pytest.raises(DataError, match=r"has 2 layers: other, labels"):
        find_scenes(description, made.folder, file_digest)
    masks = description.masks.model_copy(update={"layer": "labels"})
    description = description.model_copy(update={"masks": masks})
    scene = find_scenes(description, made.folder, file_digest)[0]
    _, mask = SceneReader(description, made.folder).read(scene, 0, 0, HEIGHT, WIDTH)
    np.testing.assert_array_equal(mask, by_hand())


def test_without_a_class_for_the_outside_it_is_ignored(made: Made) -> None:
    masks = made.description.masks.model_copy(update={"outside": None})
    polygons = Polygons(made.description.model_copy(update={"masks": masks}))
    info = raster_info(made.folder / "a.tif")
    mask = polygons.read(made.folder / "a.geojson", info, None)
    assert set(np.unique(mask)) == {1, 2, IGNORE_INDEX}
    assert (polygons.read(made.folder / "a.geojson", info, (0, 50, 8, 8)) == IGNORE_INDEX).all()


def test_the_labels_of_polygons_pass_the_label_map_as_they_are(made: Made) -> None:
    mask = by_hand()
    np.testing.assert_array_equal(LabelMap(made.description).indices(mask), mask)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: write_image(f / "a.tif", None, None), "their image has no coordinate reference system"),
        (lambda f: write_image(f / "a.tif", UTM, GRID @ Affine.translation(9000, 0)), "all its polygons outside"),
        (lambda f: write_image(f / "a.tif", "EPSG:32634"), "all its polygons outside"),
        (lambda f: (f / "a.geojson").write_text("{}"), "cannot be read"),
        (lambda f: (f / "a.geojson").write_text(""), r"is empty \(0 bytes\)"),
    ],
)
def test_polygons_that_cannot_be_laid_on_their_image_are_named_when_scenes_are_found(
    made: Made, change: Any, said: str
) -> None:
    change(made.folder)
    with pytest.raises(DataError, match=said) as caught:
        find_scenes(made.description, made.folder, file_digest)
    assert "a.geojson" in caught.value.problem and "b.geojson" not in caught.value.problem


def test_unknown_attributes_are_named_by_the_check(made: Made) -> None:
    write_geojson(made.folder / "b.geojson", shapes=[("Facade", *SHAPES[0][1:]), ("7", *SHAPES[1][1:])])
    scenes = find_scenes(made.description, made.folder, file_digest)
    with pytest.raises(DataError, match=r"'kind' is 'Facade'.*its values are -, facade, 7, unsure") as caught:
        check_scenes(scenes, made.reader, workers=1)
    assert "Did you mean 'facade'?" in caught.value.problem


def test_an_attribute_that_is_not_there_and_lines_are_refused(made: Made) -> None:
    polygons = Polygons(described(attribute="class"))
    with pytest.raises(DataError, match="no attribute 'class'; its attributes are kind"):
        polygons.check(made.folder / "a.geojson", raster_info(made.folder / "a.tif"))
    content = geojson()
    content["features"][0]["geometry"] = {
        "type": "LineString",
        "coordinates": content["features"][0]["geometry"]["coordinates"][0],
    }
    (made.folder / "c.geojson").write_text(json.dumps(content))
    with pytest.raises(DataError, match="holds LineString where polygons are expected"):
        Polygons(made.description).read(made.folder / "c.geojson", raster_info(made.folder / "c.tif"), None)


def test_an_attribute_that_changes_in_a_shapefile_changes_the_digest_of_its_scene(made: Made) -> None:
    from pyogrio.raw import write

    layout = made.description.layout.model_copy(update={"mask": "{name}.shp"})
    description = made.description.model_copy(update={"layout": layout})
    outer = [GRID @ corner for corner in SHAPES[0][1]]
    geometry = np.array([shapely.to_wkb(shapely.Polygon(outer))], object)

    def labelled(kind: str) -> tuple[str, np.ndarray]:
        for name in "abc":
            kinds = [np.array([kind if name == "a" else "7"], object)]
            write(made.folder / f"{name}.shp", geometry, kinds, ["kind"], geometry_type="Polygon", crs=UTM)
        scene = find_scenes(description, made.folder, file_digest)[0]
        return scene.digest, SceneReader(description, made.folder).read(scene, 0, 0, HEIGHT, WIDTH)[1]

    first, roofs = labelled("facade")
    shape = (made.folder / "a.shp").read_bytes()
    second, roads = labelled("7")
    assert (made.folder / "a.shp").read_bytes() == shape, "only the file of attributes differs"
    assert first != second and labelled("facade")[0] == first
    np.testing.assert_array_equal(roads == 2, roofs == 1)
    assert (roofs == 1).any()


def test_whole_numbers_are_attributes_too(made: Made) -> None:
    shapes = [(7, *SHAPES[0][1:])]
    write_geojson(made.folder / "a.geojson", shapes=shapes)
    mask = Polygons(made.description).read(made.folder / "a.geojson", raster_info(made.folder / "a.tif"), None)
    assert set(np.unique(mask)) == {0, 2}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"masks": {**MASKS, "attribute": None}}, "`attribute` is missing"),
        ({"masks": {**MASKS, "encoding": "index"}}, "must be used together"),
        ({"masks": {**MASKS, "outside": "sea"}}, "`masks.outside: sea` is not one of the classes"),
        ({"masks": {"encoding": "color", "outside": "ground"}}, "only for `reader: vector`"),
        ({"masks": {"encoding": "color"}}, "is not a colour|only with `masks.encoding: attribute`"),
        ({"ignore": ["facade"]}, "raw value facade is given twice"),
    ],
)
def test_a_wrong_description_of_polygons_is_refused(changes: dict[str, Any], said: str) -> None:
    assert described().classes[1].raw == "facade"
    given = described().model_dump(mode="json")
    assert DatasetDescription.model_validate(given) == described()
    with pytest.raises(ValidationError, match=said):
        DatasetDescription.model_validate({**given, **changes})


def test_the_reference_systems_differ_in_these_tests() -> None:
    assert CRS.from_user_input(UTM) != CRS.from_user_input(WGS)


def test_an_empty_file_of_polygons_is_an_image_of_background(made: Made) -> None:
    (made.folder / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    scenes = find_scenes(made.description, made.folder, file_digest)
    check_scenes(scenes, made.reader, 1)
    assert (made.reader.read(scenes[0], 0, 0, HEIGHT, WIDTH)[1] == 0).all()
    with pytest.raises(DataError, match="has no polygons") as caught:
        find_scenes(described(outside=None), made.folder, file_digest)
    assert "`masks.outside`" in str(caught.value)


def test_a_scene_outside_of_the_shared_polygons_is_background_unless_all_are(made: Made) -> None:
    layout = {**LAYOUT, "mask": "all.geojson"}
    shared = describe(
        layout=layout, masks=MASKS, classes=CLASSES, ignore=["unsure"], splits={"val": ["b"], "test": ["c"]}
    )
    write_geojson(made.folder / "all.geojson")
    write_image(made.folder / "b.tif", grid=Affine.translation(9000, 0) @ GRID, seed=1)
    scenes = find_scenes(shared, made.folder, file_digest)
    reader = SceneReader(shared, made.folder)
    assert (reader.read(scenes[1], 0, 0, HEIGHT, WIDTH)[1] == 0).all()
    # Coordinates in degrees are rounded.
    assert (reader.read(scenes[0], 0, 0, HEIGHT, WIDTH)[1] != by_hand()).mean() < 1e-3
    for seed, name in enumerate("ac"):
        write_image(made.folder / f"{name}.tif", grid=Affine.translation(9000 + 100 * seed, 0) @ GRID, seed=seed)
    with pytest.raises(DataError, match=r"3 bad file\(s\)(?s:.*)has all its polygons outside the image"):
        find_scenes(shared, made.folder, file_digest)


def test_what_geos_and_proj_raise_costs_one_scene_and_names_it(made: Made) -> None:
    content = geojson()
    content["features"][0]["geometry"]["coordinates"][0].pop()
    (made.folder / "a.geojson").write_text(json.dumps(content))
    local = 'LOCAL_CS["site",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
    write_image(made.folder / "b.tif", crs=local)
    scenes, bad = search_scenes(made.description, made.folder, file_digest)
    bad += unusable_files(scenes, made.reader, 1)
    assert {file.scene for file in bad} == {"a", "b"} and all(file.remedy for file in bad)
    assert all(file.file in ("a.geojson", "b.geojson", "b.tif") for file in bad)
