from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from satsynth.scenes.description import DatasetDescription
from satsynth.scenes.finding import check_scenes, find_scenes
from satsynth.scenes.rasters import raster_info, read_image, read_raw_mask
from satsynth.scenes.scene import SceneReader
from satsynth.work.files import file_digest

pytestmark = pytest.mark.real

LOVEDA = ["background", "building", "road", "water", "barren", "forest", "agriculture"]
ISAID = {
    "background": (0, 0, 0),
    "ship": (0, 0, 63),
    "storage_tank": (0, 63, 63),
    "baseball_diamond": (0, 63, 0),
    "tennis_court": (0, 63, 127),
    "basketball_court": (0, 63, 191),
    "ground_track_field": (0, 63, 255),
    "bridge": (0, 127, 63),
    "large_vehicle": (0, 127, 127),
    "small_vehicle": (0, 0, 127),
    "helicopter": (0, 0, 191),
    "swimming_pool": (0, 0, 255),
    "roundabout": (0, 191, 127),
    "soccer_ball_field": (0, 127, 191),
    "plane": (0, 127, 255),
    "harbor": (0, 100, 155),
}


def describe(name: str, pattern: str, mask: str, **more: object) -> DatasetDescription:
    layout = {"kind": "files", "pattern": pattern, "mask": mask, "scene": "{part}-{name}", "group": "{part}-{name}"}
    return DatasetDescription.model_validate(
        {"name": name, "title": name, "licence": "academic", "obtain": "-", "raw": "-", "layout": layout, **more}
    )


def test_dubai_is_read_whole_and_split_by_neighbourhood(shared: Path, project: Path) -> None:
    text = (project / "conf" / "base" / "parameters_dataset_dubai.yml").read_text(encoding="utf-8")
    description = DatasetDescription.model_validate(yaml.safe_load(text)["datasets"]["dubai"])
    raw = shared / "data" / "dubai"
    scenes = find_scenes(description, raw, file_digest)
    check_scenes(scenes, SceneReader(description, raw), workers=2)
    assert len(scenes) == 72
    assert {scene.group: scene.split for scene in scenes} == {
        "Tile 1": "val",
        "Tile 2": "test",
        "Tile 3": "val",
        "Tile 4": "test",
        "Tile 5": "train",
        "Tile 6": "test",
        "Tile 7": "train",
        "Tile 8": "train",
    }
    assert all(scene.image.split("/")[0] == scene.mask.split("/")[0] == scene.group for scene in scenes)
    assert set(Counter(scene.group for scene in scenes).values()) == {9}


def test_loveda_reads_as_class_indices(shared: Path) -> None:
    description = describe(
        "loveda",
        r"(?P<part>Train|Val)/(?P<area>Rural|Urban)/images_png/(?P<name>\d+)\.png",
        "{part}/{area}/masks_png/{name}.png",
        masks={"encoding": "index"},
        classes=[{"name": name, "raw": i + 1, "color": "#000000"} for i, name in enumerate(LOVEDA)],
        ignore=[0],
        splits={"val": ["Train-1"], "test": ["Val-*"]},
    )
    raw = shared / "data" / "loveda"
    scenes, reader = find_scenes(description, raw, file_digest), SceneReader(description, raw)
    check_scenes(scenes, reader, workers=1)
    assert [scene.split for scene in scenes] == ["train", "val", "test"]
    for scene in scenes:
        assert (scene.height, scene.width) == (1024, 1024)
        stored = read_raw_mask(raw / scene.mask, "index")
        image, mask = reader.read(scene, 0, 0, 1024, 1024)
        np.testing.assert_array_equal(mask, np.where(stored == 0, 255, stored.astype(int) - 1))
        assert image.std() > 5


def test_isaid_reads_by_its_rgb_colours_and_not_by_their_reverse(shared: Path) -> None:
    classes = [{"name": name, "raw": color, "color": color} for name, color in ISAID.items()]
    description = describe(
        "isaid",
        r"(?P<part>train|val)/images/(?P<name>P\d+)\.png",
        "{part}/Semantic_masks/images/{name}_instance_color_RGB.png",
        masks={"encoding": "color"},
        classes=classes,
        splits={"val": ["val-P0003"], "test": ["val-P0004"]},
    )
    raw = shared / "data" / "isaid"
    scenes, reader = find_scenes(description, raw, file_digest), SceneReader(description, raw)
    check_scenes(scenes, reader, workers=1)
    assert len(scenes) == 3
    seen = set()
    for scene in scenes:
        _, mask = reader.read(scene, 0, 0, scene.height, scene.width)
        seen |= set(np.unique(mask))
        reverse = read_raw_mask(raw / scene.mask, "color")[..., ::-1]
        assert reader.labels.unknown_values(reverse)
    assert {0} < seen <= set(range(16))


def test_a_real_geotiff_has_a_reference_and_windows(shared: Path) -> None:
    path = shared / "data" / "openearthmap" / "adelaide" / "images" / "adelaide_2.tif"
    info = raster_info(path)
    assert info.crs is not None
    assert info.transform is not None
    whole = read_image(path)
    assert whole.shape == (info.height, info.width, 3)
    np.testing.assert_array_equal(read_image(path, (100, 50, 64, 32)), whole[50:82, 100:164])
