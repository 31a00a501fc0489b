from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from made_data import picture
from satsynth.describing.proposal import propose
from satsynth.describing.text import description_text
from satsynth.describing.writing import checked
from satsynth.scenes.checking import check_scenes
from satsynth.scenes.finding import find_scenes
from satsynth.scenes.scene import SceneReader
from satsynth.work.errors import DataError
from satsynth.work.files import file_digest

SIDE = 40


def square(left: float, top: float, **properties: Any) -> dict[str, Any]:
    x, y = 400_000 + left, 2_780_000 - top
    ring = [[x, y], [x + 10, y], [x + 10, y - 10], [x, y - 10], [x, y]]
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def write(path: Path, features: list[dict[str, Any]]) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32640"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for seed, name in enumerate("abcd"):
        with rasterio.open(
            tmp_path / f"images/{name}.tif", "w", driver="GTiff", count=3, height=SIDE, width=SIDE, dtype="uint8",
            crs="EPSG:32640", transform=Affine(1, 0, 400_000, 0, -1, 2_780_000), photometric="RGB",
        ) as file:  # fmt: skip
            file.write(np.moveaxis(picture(np.random.default_rng(seed), SIDE, SIDE), -1, 0))
    return tmp_path


FEATURES = [square(2, 3, id=1, landuse="wood"), square(20, 20, id=2, landuse="yard"), square(5, 25, id=3, landuse=None)]


@pytest.mark.parametrize("shared", [False, True], ids=["a file an image", "a file for all"])
def test_polygons_are_described_and_can_be_ingested_unedited(folder: Path, shared: bool) -> None:
    for name in ["all"] if shared else "abcd":
        write(folder / f"labels/{name}.geojson", FEATURES)
    text = description_text("mine", folder.as_posix(), propose(folder, 0))
    description = checked("mine", text)
    assert (description.masks.attribute, description.masks.outside) == ("landuse", "background")
    assert {one.raw for one in description.classes} == {"-", "wood", "yard", "null"}
    assert "Without `outside` they are ignored" in text
    scenes, reader = find_scenes(description, folder, file_digest), SceneReader(description, folder)
    check_scenes(scenes, reader, workers=1)
    assert len(scenes) == 4 and {scene.split for scene in scenes} == {"train", "val", "test"}
    _, mask = reader.read(scenes[0], 0, 0, SIDE, SIDE)
    names = list(description.class_names)
    assert (mask[3:13, 2:12] == names.index("wood")).all() and mask[0, 0] == names.index("background")


def test_polygons_without_an_attribute_are_refused(folder: Path) -> None:
    for name in "abcd":
        write(folder / f"labels/{name}.geojson", [square(2, 3)])
    with pytest.raises(DataError, match="No attribute of the polygons could be the class"):
        propose(folder, 0)
