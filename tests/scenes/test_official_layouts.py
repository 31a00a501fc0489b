"""Small copies of LoveDA, iSAID and OpenEarthMap: made files under their official names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine

from made_data import picture, save
from satsynth.datasets.description import DatasetDescription
from satsynth.scenes.checking import check_scenes
from satsynth.scenes.finding import find_scenes, search_scenes
from satsynth.scenes.problems import BadFilesError
from satsynth.scenes.scene import SceneReader
from satsynth.work.errors import DataError
from satsynth.work.files import file_digest

RNG = np.random.default_rng(11)
SIDE = 24


def load(project: Path, name: str) -> DatasetDescription:
    text = (project / "conf" / "base" / f"parameters_dataset_{name}.yml").read_text(encoding="utf-8")
    return DatasetDescription.model_validate(yaml.safe_load(text)["datasets"][name])


def splits(description: DatasetDescription, raw: Path) -> dict[str, str]:
    scenes = find_scenes(description, raw, file_digest)
    check_scenes(scenes, SceneReader(description, raw), workers=1)
    return {scene.scene_id: scene.split for scene in scenes}


def ids(classes: int) -> np.ndarray:
    """Return a mask of all ids 0..classes."""
    return np.arange(SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint8) % (classes + 1)


def make_loveda(raw: Path) -> None:
    for part, area, name in (
        ("Train", "Rural", 0),
        ("Train", "Rural", 120),
        ("Train", "Rural", 1200),
        ("Train", "Rural", 1365),
        ("Train", "Urban", 1366),
        ("Train", "Urban", 2399),
        ("Train", "Urban", 2400),
        ("Train", "Urban", 2521),
        ("Val", "Rural", 2522),
        ("Val", "Urban", 4190),
        ("Test", "Urban", 5986),
    ):
        save(raw / part / area / "images_png" / f"{name}.png", picture(RNG, SIDE, SIDE))
        if part != "Test":
            save(raw / part / area / "masks_png" / f"{name}.png", ids(7))


def test_loveda_is_split_by_its_numbers_and_leaves_the_test_without_masks_out(project: Path, tmp_path: Path) -> None:
    make_loveda(tmp_path)
    description = load(project, "loveda")
    assert splits(description, tmp_path) == {
        "Train/Rural/0": "train",
        "Train/Rural/120": "train",
        "Train/Rural/1200": "val",
        "Train/Rural/1365": "val",
        "Train/Urban/1366": "train",
        "Train/Urban/2399": "train",
        "Train/Urban/2400": "val",
        "Train/Urban/2521": "val",
        "Val/Rural/2522": "test",
        "Val/Urban/4190": "test",
    }
    scenes = find_scenes(description, tmp_path, file_digest)
    _, mask = SceneReader(description, tmp_path).read(scenes[0], 0, 0, SIDE, SIDE)
    np.testing.assert_array_equal(mask, np.where(ids(7) == 0, 255, ids(7).astype(int) - 1))
    assert description.class_names[0] == "background" and description.class_names[6] == "agriculture"


def make_isaid(raw: Path, description: DatasetDescription) -> np.ndarray:
    colors = np.array([spec.raw for spec in description.classes], np.uint8)
    index = ids(15)
    for part, name in (("train", 0), ("train", 7), ("train", 2797), ("train", 2805), ("val", 3), ("val", 17)):
        save(raw / part / "images" / f"P{name:04d}.png", picture(RNG, SIDE, SIDE))
        save(raw / part / "Semantic_masks" / "images" / f"P{name:04d}_instance_color_RGB.png", colors[index])
    save(raw / "test" / "images" / "P0006.png", picture(RNG, SIDE, SIDE))
    return index


def test_isaid_is_split_by_its_numbers_and_read_by_its_colours(project: Path, tmp_path: Path) -> None:
    description = load(project, "isaid")
    index = make_isaid(tmp_path, description)
    assert splits(description, tmp_path) == {
        "train/P0000": "train",
        "train/P0007": "val",
        "train/P2797": "val",
        "train/P2805": "train",
        "val/P0003": "test",
        "val/P0017": "test",
    }
    scenes = find_scenes(description, tmp_path, file_digest)
    _, mask = SceneReader(description, tmp_path).read(scenes[0], 0, 0, SIDE, SIDE)
    np.testing.assert_array_equal(mask, index)
    least = description.tiling.keep.least
    assert least is not None and set(least.classes) == set(description.class_names) - {"background"}


def test_isaid_masks_in_bgr_are_refused_by_that_name(project: Path, tmp_path: Path) -> None:
    description = load(project, "isaid")
    index = make_isaid(tmp_path, description)
    turned = np.array([spec.raw for spec in description.classes], np.uint8)[index][..., ::-1]
    save(tmp_path / "val" / "Semantic_masks" / "images" / "P0003_instance_color_RGB.png", np.ascontiguousarray(turned))
    with pytest.raises(BadFilesError, match=r"P0003_instance_color_RGB.png .*reverse order \(B, G, R\)") as caught:
        splits(description, tmp_path)
    assert "Save these masks again with the channels in the order R, G, B" in caught.value.problem


NAMES = ("al_qurnah_12", "al_qurnah_17", "kujawsko-pomorskie_3", "aachen_1", "aachen_11", "aachen_2")


def make_openearthmap(raw: Path, names: tuple[str, ...] = NAMES) -> None:
    for name in names:
        region = name.rpartition("_")[0]
        for kind, bands in (("images", np.moveaxis(picture(RNG, SIDE, SIDE), -1, 0)), ("labels", ids(8)[None])):
            if kind == "labels" and name == "aachen_2":
                continue
            path = raw / region / kind / f"{name}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            profile = {"driver": "GTiff", "count": len(bands), "height": SIDE, "width": SIDE, "dtype": "uint8"}
            where = Affine(0.3, 0, 500_000, 0, -0.3, 4_000_000)
            with rasterio.open(path, "w", **profile, crs="EPSG:32633", transform=where) as file:
                file.write(bands)
    (raw / "train.txt").write_text("aachen_1.tif\nal_qurnah_12.tif\nal_qurnah_17.tif\n")
    (raw / "val.txt").write_text("aachen_11.tif\nkujawsko-pomorskie_3.tif\n")
    (raw / "test.txt").write_text("aachen_2.tif\n")


def test_openearthmap_is_split_by_its_lists_and_leaves_the_test_without_labels_out(
    project: Path, tmp_path: Path
) -> None:
    make_openearthmap(tmp_path)
    description = load(project, "openearthmap")
    assert splits(description, tmp_path) == {
        "aachen_1": "train",
        "aachen_11": "test",
        "al_qurnah_12": "train",
        "al_qurnah_17": "val",
        "kujawsko-pomorskie_3": "test",
    }
    scene = find_scenes(description, tmp_path, file_digest)[0]
    assert (scene.group, scene.crs) == ("aachen", "EPSG:32633")
    _, mask = SceneReader(description, tmp_path).read(scene, 0, 0, SIDE, SIDE)
    np.testing.assert_array_equal(mask, np.where(ids(8) == 0, 255, ids(8).astype(int) - 1))


def test_openearthmap_without_xbd_names_what_is_missing_and_the_rest_can_be_used(project: Path, tmp_path: Path) -> None:
    make_openearthmap(tmp_path)
    (tmp_path / "aachen" / "images" / "aachen_1.tif").unlink()
    description = load(project, "openearthmap")
    with pytest.raises(BadFilesError, match=r"has 2 bad file\(s\)") as caught:
        find_scenes(description, tmp_path, file_digest)
    text = " ".join(caught.value.problem.split())
    assert "aachen/labels/aachen_1.tif is a mask without an image" in text
    assert "train.txt names 'aachen_1.tif' in line 1, which is no image here" in text
    assert "ingestion.on_bad_scene=skip" in caught.value.remedy
    scenes, bad = search_scenes(description, tmp_path, file_digest)
    assert {scene.scene_id for scene in scenes} == {
        "aachen_11",
        "al_qurnah_12",
        "al_qurnah_17",
        "kujawsko-pomorskie_3",
    }
    assert len(bad) == 2


def test_openearthmap_without_its_lists_says_how_to_get_them(project: Path, tmp_path: Path) -> None:
    make_openearthmap(tmp_path)
    (tmp_path / "val.txt").unlink()
    with pytest.raises(DataError, match=r"val\.txt, a list under `splits\.lists`.* is missing") as caught:
        find_scenes(load(project, "openearthmap"), tmp_path, file_digest)
    assert "zenodo.org" in caught.value.remedy
