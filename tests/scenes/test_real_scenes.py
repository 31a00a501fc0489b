from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from affine import Affine
from PIL import Image

from satsynth.datasets.description import DatasetDescription
from satsynth.pairs.settings import TilingSettings
from satsynth.pairs.tiling import Cut, cut_pairs
from satsynth.rasters.reading import raster_info, read_image, read_raw_mask
from satsynth.scenes.checking import check_scenes
from satsynth.scenes.finding import find_scenes
from satsynth.scenes.problems import BadFilesError
from satsynth.scenes.scene import SceneReader
from satsynth.work.files import file_digest

pytestmark = pytest.mark.real


def describe(project: Path, name: str, **splits: list[str]) -> DatasetDescription:
    """Return a shipped description, with other splits if too few real scenes are available."""
    text = (project / "conf" / "base" / f"parameters_dataset_{name}.yml").read_text(encoding="utf-8")
    described = yaml.safe_load(text)["datasets"][name]
    if splits:
        described["splits"] = {"by": "scene", **splits}
    return DatasetDescription.model_validate(described)


def test_dubai_is_read_whole_and_split_by_neighbourhood(shared: Path, project: Path) -> None:
    description = describe(project, "dubai")
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


def test_loveda_reads_as_class_indices(shared: Path, project: Path) -> None:
    description = describe(project, "loveda", val=["Train/Rural/1"], test=["Val/*"])
    raw = shared / "data" / "loveda"
    scenes, reader = find_scenes(description, raw, file_digest), SceneReader(description, raw)
    check_scenes(scenes, reader, workers=1)
    assert {scene.scene_id: scene.split for scene in scenes} == {
        "Train/Rural/0": "train",
        "Train/Rural/1": "val",
        "Val/Rural/2": "test",
    }
    for scene in scenes:
        assert (scene.height, scene.width) == (1024, 1024)
        stored = read_raw_mask(raw / scene.mask, "index").values
        image, mask = reader.read(scene, 0, 0, 1024, 1024)
        np.testing.assert_array_equal(mask, np.where(stored == 0, 255, stored.astype(int) - 1))
        assert image.std() > 5


def test_isaid_reads_by_its_rgb_colours(shared: Path, project: Path) -> None:
    description = describe(project, "isaid", val=["val/P0003"], test=["val/P0004"])
    raw = shared / "data" / "isaid"
    scenes, reader = find_scenes(description, raw, file_digest), SceneReader(description, raw)
    check_scenes(scenes, reader, workers=1)
    assert {scene.scene_id: scene.split for scene in scenes} == {
        "train/P0005": "train",
        "val/P0003": "val",
        "val/P0004": "test",
    }
    seen = set()
    for scene in scenes:
        seen |= set(np.unique(reader.read(scene, 0, 0, scene.height, scene.width)[1]))
    assert {0} < seen <= set(range(16))


def test_isaid_masks_in_the_order_bgr_are_refused_by_that_name(shared: Path, project: Path, tmp_path: Path) -> None:
    description = describe(project, "isaid", val=["val/P0003"], test=["val/P0004"])
    raw = tmp_path / "isaid"
    shutil.copytree(shared / "data" / "isaid", raw, copy_function=shutil.copyfile)
    mask = raw / "val" / "Semantic_masks" / "images" / "P0003_instance_color_RGB.png"
    Image.fromarray(np.ascontiguousarray(read_raw_mask(mask, "color").values[..., ::-1])).save(mask)
    scenes = find_scenes(description, raw, file_digest)
    with pytest.raises(BadFilesError, match=r"has 1 bad file\(s\)(?s:.*)P0003.* in reverse order \(B, G, R\)"):
        check_scenes(scenes, SceneReader(description, raw), workers=1)


def test_a_real_geotiff_has_a_reference_and_windows(shared: Path) -> None:
    path = shared / "data" / "openearthmap" / "adelaide" / "images" / "adelaide_2.tif"
    info = raster_info(path)
    assert info.crs is not None
    assert info.transform is not None
    whole = read_image(path)
    assert whole.shape == (info.height, info.width, 3)
    np.testing.assert_array_equal(read_image(path, (100, 50, 64, 32)), whole[50:82, 100:164])


def test_a_real_geotiff_becomes_tiles_with_bounds(shared: Path, project: Path, tmp_path: Path) -> None:
    """The label is made, because the sample of OpenEarthMap has none."""
    raw = tmp_path / "openearthmap"
    source = shared / "data" / "openearthmap" / "adelaide" / "images" / "adelaide_2.tif"
    info = raster_info(source)
    label = np.random.default_rng(0).integers(0, 9, (info.height, info.width)).astype(np.uint8)
    for number in (2, 7, 14):
        image, mask = (raw / "adelaide" / kind / f"adelaide_{number}.tif" for kind in ("images", "labels"))
        for path in (image, mask):
            path.parent.mkdir(parents=True, exist_ok=True)
        # An extra byte at the end changes the digest of the image.
        image.write_bytes(source.read_bytes() + bytes(number))
        Image.fromarray(label).save(mask)
    (raw / "train.txt").write_text("adelaide_2.tif\nadelaide_7.tif\n")
    (raw / "val.txt").write_text("adelaide_14.tif\n")
    description = describe(project, "openearthmap")
    scenes, reader = find_scenes(description, raw, file_digest), SceneReader(description, raw)
    check_scenes(scenes, reader, workers=1)
    assert [(scene.scene_id, scene.split) for scene in scenes] == [
        ("adelaide_14", "test"),
        ("adelaide_2", "train"),
        ("adelaide_7", "val"),
    ]
    scene = scenes[1]
    assert scene.crs == info.crs and scene.transform == info.transform
    (pair,) = cut_pairs([Cut(scene, 128, 256)], reader, TilingSettings())
    np.testing.assert_array_equal(pair.image, read_image(source, (256, 128, 128, 128)))
    stored = label[128:256, 256:384]
    np.testing.assert_array_equal(pair.mask, np.where(stored == 0, 255, stored.astype(int) - 1))
    place = Affine(*info.transform)
    left, top = place @ (256, 128)
    right, bottom = place @ (384, 256)
    assert pair.bounds == pytest.approx((left, bottom, right, top))
