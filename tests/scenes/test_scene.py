from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_data import MadeData, blobs, describe, make_data, paint, save
from satsynth.rasters.reading import raster_info, reduce_mask
from satsynth.scenes.scene import COLUMNS, Scene, scenes_from_frame, scenes_to_frame

PLAIN = Scene("a", "g", "a.png", "m.png", "train", (0, 0, 8, 6), 6, 8, None, None, "d1")
PLACED = replace(PLAIN, scene_id="b", crs="EPSG:32640", transform=(0.5, 0.0, 5e5, 0.0, -0.5, 4e6))


@pytest.mark.parametrize("scenes", [[PLAIN], [PLACED], [PLAIN, PLACED], [PLACED, replace(PLAIN, scene_id="c")]])
def test_the_table_of_scenes_survives_a_round_trip(tmp_path: Path, scenes: list[Scene]) -> None:
    frame = scenes_to_frame(scenes)
    assert list(frame.columns) == COLUMNS
    frame.to_parquet(tmp_path / "scenes.parquet")
    for table in (frame, pd.read_parquet(tmp_path / "scenes.parquet")):
        assert list(scenes_from_frame(table)) == scenes


def test_the_table_does_not_depend_on_the_order_of_finding() -> None:
    pd.testing.assert_frame_equal(scenes_to_frame([PLACED, PLAIN]), scenes_to_frame([PLAIN, PLACED]))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> MadeData:
    return make_data(tmp_path_factory.mktemp("scene"))


@given(data=st.data())
def test_windows_of_a_scene_are_exact(kept: MadeData, data: st.DataObject) -> None:
    scene = data.draw(st.sampled_from(kept.scenes()))
    top, left = data.draw(st.integers(0, scene.height - 1)), data.draw(st.integers(0, scene.width - 1))
    height = data.draw(st.integers(1, scene.height - top))
    width = data.draw(st.integers(1, scene.width - left))
    image, mask = kept.reader().read(scene, top, left, height, width)
    place = np.s_[top : top + height, left : left + width]
    np.testing.assert_array_equal(image, kept.images[scene.scene_id][place])
    np.testing.assert_array_equal(mask, kept.masks[scene.scene_id][place])


@pytest.mark.parametrize("scale", [0.5, 0.37])
def test_a_scaled_scene_has_its_images_mean_and_only_its_masks_values(tmp_path: Path, scale: float) -> None:
    made = make_data(tmp_path, scale=scale)
    for scene in made.scenes():
        whole = made.masks[scene.scene_id]
        assert (scene.height, scene.width) == tuple(round(side * scale) for side in whole.shape)
        image, mask = made.reader().read(scene, 0, 0, scene.height, scene.width)
        assert image.shape == (scene.height, scene.width, 3)
        assert abs(image.mean() - made.images[scene.scene_id].mean()) < 2
        np.testing.assert_array_equal(mask, reduce_mask(whole, scene.height, scene.width))
        assert set(np.unique(mask)) <= set(np.unique(whole))


def test_windows_of_a_halved_scene_fit_together(tmp_path: Path) -> None:
    made = make_data(tmp_path, {("north", "a"): (96, 64), ("east", "a"): (32, 32), ("west", "a"): (32, 32)}, scale=0.5)
    scene = next(scene for scene in made.scenes() if scene.split == "train")
    image, mask = made.reader().read(scene, 0, 0, 48, 32)
    for top in range(0, 48, 16):
        part_image, part_mask = made.reader().read(scene, top, 8, 16, 24)
        np.testing.assert_array_equal(part_image, image[top : top + 16, 8:])
        np.testing.assert_array_equal(part_mask, mask[top : top + 16, 8:])


def test_a_mask_on_another_grid_is_laid_on_its_images(tmp_path: Path) -> None:
    made = make_data(tmp_path, masks={"encoding": "color", "align": "nearest"})
    mask = made.masks["north/a"]
    save(made.raw / "north" / "masks" / "a.png", paint(np.kron(mask, np.ones((3, 3), np.uint8))))
    scene = next(scene for scene in made.scenes() if scene.scene_id == "north/a")
    _, read = made.reader().read(scene, 5, 6, 40, 50)
    np.testing.assert_array_equal(read, mask[5:45, 6:56])


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("size", [(96, 70), (33, 24), (150, 109), (1, 1)])
def test_windows_of_a_mask_on_another_grid_are_parts_of_the_whole(
    tmp_path: Path, suffix: str, size: tuple[int, int]
) -> None:
    layout = {**describe().layout.model_dump(), "mask": f"{{group}}/masks/{{name}}.{suffix}"}
    made = make_data(tmp_path, masks={"encoding": "color", "align": "nearest"}, layout=layout)
    stored = paint(blobs(np.random.default_rng(2), *size))
    for name in made.masks:
        group, file = name.split("/")
        save(made.raw / group / "masks" / f"{file}.{suffix}", stored)
    reader, info = made.reader(), raster_info(made.raw / "north/images/a.png")
    whole = reader.raw_mask(f"north/masks/a.{suffix}", info).values
    np.testing.assert_array_equal(whole, reduce_mask(stored, info.height, info.width))
    for x, y, width, height in ((0, 0, 70, 96), (3, 90, 67, 6), (69, 0, 1, 96), (31, 17, 20, 33)):
        part = reader.raw_mask(f"north/masks/a.{suffix}", info, (x, y, width, height)).values
        np.testing.assert_array_equal(part, whole[y : y + height, x : x + width])
