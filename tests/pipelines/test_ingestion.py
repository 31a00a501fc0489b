from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from PIL import Image

from made_data import CLASSES, SIZES, MadeData, describe, make_data, paint, save
from satsynth.pairs.settings import TilingSettings
from satsynth.pipelines.ingestion import nodes
from satsynth.pipelines.tiling.nodes import cut_tiles
from satsynth.scenes.settings import IngestionSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import DataError
from satsynth.work.workspace import Workspace


def ingested(made: MadeData, project: Path, on_bad_scene: str = "error") -> tuple[pd.DataFrame, pd.DataFrame]:
    run = Workspace(project=str(project), raw=str(made.raw))
    ingestion = IngestionSettings.model_validate({"on_bad_scene": on_bad_scene})
    return nodes.find_and_check(made.description, ingestion, ComputeSettings(workers=1), run)


def splits(table: pd.DataFrame) -> dict[str, str]:
    return dict(zip(table["scene_id"], table["split"], strict=True))


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_scene_that_moves_to_another_list_moves_to_that_split_though_no_pixel_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_data(tmp_path / "raw", splits={"lists": {"val": "val.txt", "test": "test.txt"}})
    (made.raw / "val.txt").write_text("north/a\nwest/b\n")
    (made.raw / "test.txt").write_text("west/a\n")
    before = splits(ingested(made, tmp_path)[0])
    assert before["west/b"] == "val" and before["east/a"] == "train"
    (made.raw / "val.txt").write_text("north/a\n")
    (made.raw / "test.txt").write_text("west/a\nwest/b\n")
    # What was checked is not checked again.
    monkeypatch.setattr(nodes, "inspect", None)
    assert splits(ingested(made, tmp_path)[0]) == {**before, "west/b": "test"}


def test_what_was_left_out_stays_out_when_nothing_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_data(tmp_path / "raw")
    mask = made.raw / "north" / "masks" / "b.png"
    mask.write_bytes(mask.read_bytes()[:-40])
    first, bad = ingested(made, tmp_path, "skip")
    assert set(first["scene_id"]) == set(made.masks) - {"north/b"} and bad["scene"].tolist() == ["north/b"]
    monkeypatch.setattr(nodes, "inspect", None)
    again, left_out = ingested(made, tmp_path, "skip")
    pd.testing.assert_frame_equal(again, first)
    pd.testing.assert_frame_equal(left_out, bad)


def test_scenes_on_the_same_ground_in_different_splits_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layout = {**describe().layout.model_dump(), "pattern": r"(?P<group>[^/]+)/images/(?P<name>[^/]+)\.tif"}
    made = make_data(tmp_path / "raw", layout=layout)
    places = {"north/a": 0, "north/b": 500, "south/a": 1000, "east/a": 30, "west/a": 2000, "west/b": 3000}
    for name, east in places.items():
        group, file = name.split("/")
        bands = np.moveaxis(made.images[name], -1, 0)
        (made.raw / group / "images" / f"{file}.png").unlink()
        with rasterio.open(
            made.raw / group / "images" / f"{file}.tif", "w", driver="GTiff", count=3, height=bands.shape[1],
            width=bands.shape[2], dtype="uint8", crs="EPSG:32640", transform=Affine(1, 0, 100 + east, 0, -1, 900),
        ) as written:  # fmt: skip
            written.write(bands)
    with caplog.at_level(logging.WARNING):
        ingested(made, tmp_path)
    (said,) = warnings_in(caplog)
    assert "1 pair(s) of scenes in different splits show the same ground" in said
    assert "'east/a' (val)" in said and "'north/a' (train)" in said and "west" not in said
    assert "`layout.group`" in said


def test_a_palette_by_which_reversed_masks_would_pass_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pool = {"name": "pool", "raw": "#29A9E2", "color": "#0000FF"}
    made = make_data(tmp_path / "raw", classes=[*CLASSES, pool])
    with caplog.at_level(logging.WARNING):
        ingested(made, tmp_path)
    (said,) = warnings_in(caplog)
    assert "B, G, R cannot be detected" in said and "pool and water" in said and "`pair_gallery`" in said


@pytest.mark.parametrize("swapped", [False, True])
def test_ids_whose_colours_differ_between_files_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, swapped: bool
) -> None:
    classes = [{**spec, "raw": number} for number, spec in enumerate(CLASSES)]
    made = make_data(tmp_path / "raw", classes=classes, ignore=[255], masks={"encoding": "index"})
    palette = np.random.default_rng(0).integers(0, 256, (256, 3)).astype(np.uint8)
    for name, mask in made.masks.items():
        group, file = name.split("/")
        image = Image.fromarray(mask).convert("P")
        image.putdata(mask.ravel().tolist())
        own = palette[[0, 2, 1, *range(3, 256)]] if swapped and name == "west/a" else palette
        image.putpalette(own.ravel().tolist())
        image.save(made.raw / group / "masks" / f"{file}.png")
    with caplog.at_level(logging.WARNING):
        ingested(made, tmp_path)
    said = warnings_in(caplog)
    assert len(said) == swapped
    if swapped:
        assert "The palettes of east/masks/a.png and west/masks/a.png show the id 1 in two colours" in said[0]
        assert "`masks: {encoding: color}`" in said[0]


def test_files_that_changed_since_they_were_checked_are_not_cut(tmp_path: Path) -> None:
    made = make_data(tmp_path / "raw")
    scenes, _ = ingested(made, tmp_path)
    run, compute = Workspace(project=str(tmp_path), raw=str(made.raw)), ComputeSettings(workers=1)
    tiling = TilingSettings.model_validate({"tile_size": 32})
    mask = made.raw / "west" / "masks" / "a.png"
    whole = mask.read_bytes()
    save(mask, paint(made.masks["west/a"][::-1]))
    (made.raw / "east" / "images" / "a.png").rename(tmp_path / "away.png")
    with pytest.raises(
        DataError, match=r"Files of 2 scene\(s\) below .* have changed since they were checked"
    ) as caught:
        cut_tiles(scenes, made.description, tiling, compute, run)
    assert "west/images/a.png or west/masks/a.png" in caught.value.problem
    assert "kedro run --pipeline=ingestion" in caught.value.remedy
    mask.write_bytes(whole)
    (tmp_path / "away.png").rename(made.raw / "east" / "images" / "a.png")
    assert cut_tiles(scenes, made.description, tiling, compute, run).count("test") > 0


def test_classes_that_are_nowhere_and_scenes_smaller_than_a_tile_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pool = {"name": "pool", "raw": "#000001", "color": "#0000FF"}
    made = make_data(tmp_path / "raw", {**SIZES, ("south", "b"): (80, 90)}, classes=[*CLASSES, pool])
    save(made.raw / "east" / "masks" / "a.png", paint(np.where(made.masks["east/a"] == 0, 1, made.masks["east/a"])))
    scenes, _ = ingested(made, tmp_path)
    run = Workspace(project=str(tmp_path), raw=str(made.raw))
    tiling = TilingSettings.model_validate({"tile_size": 72, "keep": {"max_ignore": 1}})
    with caplog.at_level(logging.WARNING):
        cut_tiles(scenes, made.description, tiling, ComputeSettings(workers=1), run)
    small, *lacking = warnings_in(caplog)
    assert small.startswith(
        "3 training scene(s) are smaller than a tile and are not used, such as north/a (70 x 96 pixels)"
    )
    assert "`tiling.tile_size`" in small
    for said, words in zip(lacking, ("pool in train", "water, pool in val", "pool in test"), strict=True):
        assert said.startswith(
            f"There are no pixels of {words}. Such a class cannot be learned or scored; check `splits`"
        )


def test_what_is_ignored_because_of_transparency_is_said_with_its_share_each_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = make_data(tmp_path / "raw")
    for kind, image in (("images", made.images["north/a"]), ("masks", paint(made.masks["north/a"]))):
        alpha = np.full(image.shape[:2], 255, np.uint8)
        alpha[:48] = 0
        save(made.raw / "north" / kind / "a.png", np.dstack([image, alpha]))
    share = 48 * 70 / sum(mask.size for mask in made.masks.values())
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            ingested(made, tmp_path)
        said = "\n".join(warnings_in(caplog))
        assert f"{share:.2%} of the image pixels are transparent" in said and "north/images/a.png (50.0%)" in said
        assert f"{share:.2%} of the mask pixels are transparent" in said and "`masks: {transparent: keep}`" in said


def test_alpha_that_holds_data_in_one_image_is_not_trusted_in_another_until_the_bands_are_named(tmp_path: Path) -> None:
    made = make_data(tmp_path / "raw")
    rng = np.random.default_rng(3)
    for name, image in made.images.items():
        group, file = name.split("/")
        infrared = rng.integers(0, 256, image.shape[:2]).astype(np.uint8)
        # A scene of water only.
        infrared[:] = 0 if name == "south/a" else infrared
        save(made.raw / group / "images" / f"{file}.png", np.dstack([image, infrared]))
    with pytest.raises(DataError, match=r"south/images/a\.png +hides pixels by a band that it calls alpha"):
        ingested(made, tmp_path)
    named = replace(made, description=describe(images={"bands": [1, 2, 3]}))
    assert set(ingested(named, tmp_path)[0]["scene_id"]) == set(made.masks)


def test_labels_beneath_complete_transparency_are_asked_about(tmp_path: Path) -> None:
    made = make_data(tmp_path / "raw")
    for name, mask in made.masks.items():
        group, file = name.split("/")
        save(made.raw / group / "masks" / f"{file}.png", np.dstack([paint(mask), np.zeros_like(mask)]))
    with pytest.raises(DataError, match="is transparent everywhere, but holds different values beneath"):
        ingested(made, tmp_path)
    kept = replace(made, description=describe(masks={"encoding": "color", "transparent": "keep"}))
    scenes, _ = ingested(kept, tmp_path)
    assert len(scenes) == len(made.masks)


def test_a_class_whose_value_is_called_nodata_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    layout = {**describe().layout.model_dump(), "mask": "{group}/masks/{name}.tif"}
    classes = [{**spec, "raw": number} for number, spec in enumerate(CLASSES)]
    made = make_data(tmp_path / "raw", layout=layout, masks={"encoding": "index"}, classes=classes, ignore=[])
    for name, mask in made.masks.items():
        group, file = name.split("/")
        ids = np.where(mask == 255, 0, mask)
        (made.raw / group / "masks" / f"{file}.png").unlink()
        with rasterio.open(
            made.raw / group / "masks" / f"{file}.tif", "w", driver="GTiff", count=1, height=ids.shape[0],
            width=ids.shape[1], dtype="uint8", nodata=0, transform=Affine(1, 0, 5, 0, -1, 5),
        ) as written:  # fmt: skip
            written.write(ids, 1)
    ingested(made, tmp_path)
    assert "hold a value that their file calls nodata and the description calls a class" in "".join(warnings_in(caplog))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_without_labels_is_refused_before_anything_is_trained(tmp_path: Path, split: str) -> None:
    made = make_data(tmp_path / "raw")
    for scene in made.scenes():
        if scene.split == split:
            save(made.raw / scene.mask, paint(np.full_like(made.masks[scene.scene_id], 255)))
    scenes, _ = ingested(made, tmp_path)
    run = Workspace(project=str(tmp_path), raw=str(made.raw))
    # No training tile that is ignored throughout is kept.
    words = "left no training tile" if split == "train" else rf"All pixels of the \d+ tile\(s\) of the split '{split}'"
    with pytest.raises(DataError, match=words) as caught:
        cut_tiles(scenes, made.description, TilingSettings(tile_size=32, stride=32), ComputeSettings(workers=1), run)
    assert ("`tiling.keep`" if split == "train" else "`splits`") in caught.value.remedy
