"""A neighbour that changes what is read of a file changes its scene, and no other neighbour does."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyogrio.raw import read, write

from made_data import describe, picture
from satsynth.scenes.finding import require_unchanged, search_scenes
from satsynth.scenes.scene import Scene, SceneReader
from satsynth.work.errors import DataError
from satsynth.work.files import file_digest

GRID = Affine(1, 0, 400_000, 0, -1, 2_780_000)
SIDE = 24
RNG = np.random.default_rng(0)
IDS = (np.arange(SIDE * SIDE).reshape(SIDE, SIDE) // 100 % 2 + 1).astype(np.uint8)


def data(folder: Path, suffix: str, **masks: Any) -> Any:
    layout = {"kind": "files", "pattern": r"(?P<name>\w+)\.tif", "scene": "{name}", "group": "{name}"}
    classes = [{"name": name, "raw": raw, "color": "#000000"} for name, raw in (("ground", "-"), ("roof", "roof"))]
    if not masks:
        masks, classes = {"encoding": "index"}, [{**one, "raw": raw} for one, raw in zip(classes, (1, 2), strict=True)]
    for name in "abc":
        with rasterio.open(
            folder / f"{name}.tif", "w", driver="GTiff", count=3, height=SIDE, width=SIDE, dtype="uint8",
            crs="EPSG:32640", transform=GRID, photometric="RGB",
        ) as file:  # fmt: skip
            file.write(np.moveaxis(picture(RNG, SIDE, SIDE), -1, 0))
    return describe(
        layout={**layout, "mask": f"labels/{{name}}{suffix}"}, masks=masks, classes=classes, ignore=[],
        splits={"val": ["b"], "test": ["c"]},
    )  # fmt: skip


def scene(description: Any, folder: Path) -> Scene:
    scenes, bad = search_scenes(description, folder, file_digest)
    assert bad == []
    return scenes[0]


def raster_masks(folder: Path) -> Any:
    (folder / "labels").mkdir()
    for name in "abc":
        with rasterio.open(
            folder / "labels" / f"{name}.tif", "w", driver="GTiff", count=1, height=SIDE, width=SIDE, dtype="uint8",
            crs="EPSG:32640", transform=GRID,
        ) as file:  # fmt: skip
            file.write(IDS, 1)
    return data(folder, ".tif")


def vector_masks(folder: Path, driver: str, suffix: str) -> Any:
    (folder / "labels").mkdir()
    ring = [[400_002.0, 2_779_990.0], [400_012.0, 2_779_990.0], [400_012.0, 2_779_998.0], [400_002.0, 2_779_990.0]]
    feature = {
        "type": "Feature",
        "properties": {"kind": "roof"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    (folder / "one.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    meta, _, shapes, columns = read(folder / "one.geojson")
    for name in "abc":
        file = folder / "labels" / f"{name}{suffix}"
        write(file, shapes, columns, meta["fields"], geometry_type="Polygon", crs="EPSG:32640", driver=driver)
    return data(folder, suffix, encoding="attribute", reader="vector", attribute="kind", outside="ground")


def aux(nodata: int | None, statistics: str = "") -> str:
    said = "" if nodata is None else f"<NoDataValue>{nodata}</NoDataValue>"
    return f'<PAMDataset><PAMRasterBand band="1">{said}{statistics}</PAMRasterBand></PAMDataset>'


def external_mask(path: Path) -> None:
    hole = np.full((SIDE, SIDE), 255, np.uint8)
    hole[:5] = 0
    profile = {"driver": "GTiff", "count": 1, "height": SIDE, "width": SIDE, "dtype": "uint8"}
    with rasterio.open(f"{path}.temp.tif", "w", **profile, transform=GRID) as file:
        file.write(hole, 1)
        file.update_tags(**{f"INTERNAL_MASK_FLAGS_{band}": "2" for band in (1, 2, 3)})
    Path(f"{path}.temp.tif").rename(f"{path}.msk")


@pytest.mark.parametrize("name", ["a.tif", "labels/a.tif"])
@pytest.mark.parametrize(
    "change",
    [
        lambda path: Path(f"{path}.aux.xml").write_text(aux(2)),
        external_mask,
    ],
    ids=["nodata in .aux.xml", ".msk"],
)
def test_what_a_neighbour_says_about_pixels_changes_the_scene(
    tmp_path: Path, name: str, change: Callable[[Path], object]
) -> None:
    description = raster_masks(tmp_path)
    before = scene(description, tmp_path)
    change(tmp_path / name)
    after = scene(description, tmp_path)
    assert after.digest != before.digest
    with pytest.raises(DataError, match="have changed since they were checked"):
        require_unchanged([before], tmp_path, file_digest)
    require_unchanged([after], tmp_path, file_digest)
    if change is external_mask:
        mask = SceneReader(description, tmp_path).read(after, 0, 0, SIDE, SIDE)[1]
        assert (mask[:5] == 255).all() and (mask[5:] == IDS[5:] - 1).all()


@pytest.mark.parametrize("name", ["a.tif.ovr", "a.tif.aux.xml", "a.txt", "labels/a.tif.ovr", "labels/a.png"])
def test_other_neighbours_change_nothing(tmp_path: Path, name: str) -> None:
    description = raster_masks(tmp_path)
    before = scene(description, tmp_path)
    statistics = '<Metadata><MDI key="STATISTICS_MEAN">3</MDI></Metadata>'
    if name.endswith(".ovr"):
        profile = {"driver": "GTiff", "count": 1, "height": SIDE // 2, "width": SIDE // 2, "dtype": "uint8"}
        with rasterio.open(tmp_path / "small.tif", "w", **profile, transform=GRID) as file:
            file.write(IDS[::2, ::2], 1)
        (tmp_path / "small.tif").rename(tmp_path / name)
    else:
        (tmp_path / name).write_text(aux(None, statistics) if name.endswith(".xml") else "text")
    again = scene(description, tmp_path)
    # That there is a neighbour may be recorded, but not what statistics it holds.
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes().replace(b">3<", b">4<"))
    assert scene(description, tmp_path).digest == again.digest
    if not name.endswith((".ovr", ".xml")):
        assert again.digest == before.digest


@pytest.mark.parametrize(
    ("driver", "suffix", "part"),
    [
        ("ESRI Shapefile", ".shp", ".dbf"), ("ESRI Shapefile", ".shp", ".shx"), ("ESRI Shapefile", ".shp", ".prj"),
        ("MapInfo File", ".tab", ".dat"), ("MapInfo File", ".tab", ".map"), ("MapInfo File", ".mif", ".mid"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("upper", [False, True])
def test_every_part_of_a_vector_file_counts(tmp_path: Path, driver: str, suffix: str, part: str, upper: bool) -> None:
    description = vector_masks(tmp_path, driver, suffix)
    file = tmp_path / "labels" / f"a{part}"
    if upper:
        file = file.rename(file.with_suffix(part.upper()))
    before = scene(description, tmp_path)
    content = file.read_bytes()
    # A byte that the reader does not need, at the end of the file or of the text.
    file.write_bytes(content + b" ")
    with pytest.raises(DataError, match="have changed"):
        require_unchanged([before], tmp_path, file_digest)
    file.write_bytes(content)
    require_unchanged([before], tmp_path, file_digest)


def test_edits_of_a_geopackage_that_a_gis_still_holds_are_seen(tmp_path: Path) -> None:
    description = vector_masks(tmp_path, "GPKG", ".gpkg")
    before = scene(description, tmp_path)
    reader = SceneReader(description, tmp_path)
    assert (reader.read(before, 0, 0, SIDE, SIDE)[1] == 1).any()
    gis = sqlite3.connect(tmp_path / "labels" / "a.gpkg")
    try:
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            gis.create_function(name, 1, lambda _: 0)
        gis.execute("pragma journal_mode=wal")
        main = (tmp_path / "labels" / "a.gpkg").read_bytes()
        changed = scene(description, tmp_path)
        gis.execute("update a set kind = '-'")
        gis.commit()
        assert (tmp_path / "labels" / "a.gpkg").read_bytes() == main
        after = scene(description, tmp_path)
        assert len({changed.digest, after.digest}) == 2
        assert (reader.read(after, 0, 0, SIDE, SIDE)[1] == 0).all()
    finally:
        gis.close()
