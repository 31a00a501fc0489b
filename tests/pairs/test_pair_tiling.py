from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_data import CLASSES, MadeData, make_data, paint, save
from satsynth.datasets.description import KeepSettings, LeastShare
from satsynth.pairs import tiling
from satsynth.pairs.pair import Pair, class_counts
from satsynth.pairs.required import kept_rows, missing_classes
from satsynth.pairs.settings import TilingSettings
from satsynth.pairs.store import PairStore
from satsynth.pairs.tiling import Cut, check_keep, cover_starts, cut_pairs, cut_scenes, grid_starts, plan
from satsynth.scenes.scene import Scene
from satsynth.work.errors import DataError
from satsynth.work.folder import Step, work_folder
from satsynth.work.ignore import IGNORE_INDEX

ALL = KeepSettings(max_ignore=1)
SMALL = TilingSettings(tile_size=32, stride=16, keep=ALL, shard_tiles=7)


def cut(root: Path, made: MadeData, settings: TilingSettings = SMALL, workers: int = 1) -> PairStore:
    with work_folder(root, Step("tiling", 1, {}, settings.model_dump(mode="json"))) as folder:
        return cut_scenes(folder, made.scenes(), made.reader(), settings, workers)


def shards(store: PairStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.path.iterdir()}


@given(st.integers(1, 500), st.integers(1, 130))
def test_cover_starts_covers_every_pixel_exactly_once(length: int, tile: int) -> None:
    covered = np.zeros(length, int)
    for start, skip in cover_starts(length, tile):
        assert 0 <= start <= max(0, length - tile)
        assert 0 <= skip < tile
        covered[start + skip : start + tile] += 1
    assert (covered == 1).all()


@given(st.integers(1, 500), st.integers(1, 130), st.integers(1, 130))
def test_grid_starts_are_all_whole_tiles_on_the_grid(length: int, tile: int, stride: int) -> None:
    wanted = [start for start in range(length) if start % stride == 0 and start + tile <= length]
    assert grid_starts(length, tile, stride) == wanted


def test_each_pixel_of_val_and_test_counts_exactly_once(tmp_path: Path, made: MadeData) -> None:
    store = cut(tmp_path / "work", made)
    index = store.index()
    counts = pd.DataFrame(store.pixel_counts()).groupby(index["scene_id"]).sum()
    for scene in made.scenes():
        if scene.split != "train":
            whole = class_counts(made.masks[scene.scene_id], 3)
            assert counts.loc[scene.scene_id].tolist() == whole.tolist()
            assert whole.sum() > 0


@pytest.mark.parametrize("scale", [0.5, 0.7])
def test_scaled_val_and_test_scenes_are_covered_once(tmp_path: Path, scale: float) -> None:
    made = make_data(tmp_path / "raw", ignore=[], classes=_with_ignore_as_class(), scale=scale)
    store = cut(tmp_path / "work", made)
    index = store.index()
    pixels = pd.Series(store.pixel_counts().sum(axis=1)).groupby(index["scene_id"]).sum()
    for scene in made.scenes():
        if scene.split != "train":
            assert pixels[scene.scene_id] == scene.height * scene.width


def _with_ignore_as_class() -> list[dict[str, str]]:
    return [*CLASSES, {"name": "rest", "raw": "#9B9B9B", "color": "#000000"}]


def test_tiles_are_cut_where_they_say(tmp_path: Path, made: MadeData) -> None:
    store = cut(tmp_path / "work", made)
    for row, (image, mask) in zip(store.index().itertuples(), store.arrays(), strict=True):
        place = np.s_[row.row : row.row + 32, row.col : row.col + 32]
        whole_image, whole_mask = made.images[row.scene_id][place], made.masks[row.scene_id][place]
        height, width = whole_mask.shape
        np.testing.assert_array_equal(image[:height, :width], whole_image)
        inside = mask[:height, :width]
        np.testing.assert_array_equal(inside[inside != IGNORE_INDEX], whole_mask[inside != IGNORE_INDEX])
        assert (mask[height:] == IGNORE_INDEX).all()
        assert (mask[:, width:] == IGNORE_INDEX).all()
        if row.split == "train":
            assert (height, width) == (32, 32)
            np.testing.assert_array_equal(mask, whole_mask)


def test_training_tiles_are_all_whole_tiles_of_the_stride(tmp_path: Path, made: MadeData) -> None:
    index = cut(tmp_path / "work", made).index()
    found = (
        index[index["split"] == "train"].groupby("scene_id")[["row", "col"]].apply(lambda g: set(map(tuple, g.values)))
    )
    for scene in made.scenes():
        if scene.split == "train":
            rows, cols = range(0, scene.height - 31, 16), range(0, scene.width - 31, 16)
            assert found[scene.scene_id] == {(row, col) for row in rows for col in cols}


def test_no_tile_of_a_val_or_test_scene_is_in_train(tmp_path: Path, made: MadeData) -> None:
    store = cut(tmp_path / "work", made)
    split_of = {scene.scene_id: scene.split for scene in made.scenes()}
    index = store.index()
    assert index["split"].tolist() == [split_of[scene] for scene in index["scene_id"]]
    assert index["pair_id"].is_unique
    assert set(index["scene_id"]) == set(split_of)


def test_keep_filters_training_tiles_only(tmp_path: Path, made: MadeData) -> None:
    everything = cut(tmp_path / "all", made).index()
    wanted = KeepSettings(max_ignore=0.1, least=LeastShare(classes=("land",), share=0.35))
    kept = cut(tmp_path / "some", made, SMALL.model_copy(update={"keep": wanted})).index()
    land = np.stack(everything["pixels"].to_list())
    good = (1 - land.sum(axis=1) / 1024 <= 0.1) & (land[:, 1] / 1024 >= 0.35)
    assert 0 < (good & (everything["split"] == "train")).sum() < (everything["split"] == "train").sum()
    assert kept["pair_id"].tolist() == everything["pair_id"][good | (everything["split"] != "train")].tolist()


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (KeepSettings(max_ignore=0.5), True),
        (KeepSettings(max_ignore=0.49), False),
        (KeepSettings(least=LeastShare(classes=("b", "c"), share=0.5)), True),
        (KeepSettings(least=LeastShare(classes=("b",), share=0.5)), False),
        (KeepSettings(least=LeastShare(classes=("a",), share=0.01)), False),
    ],
)
def test_keep_counts_shares_of_the_whole_tile(keep: KeepSettings, kept: bool) -> None:
    mask = np.array([[1, 1], [2, 2], [255, 255], [255, 255]], np.uint8).repeat(2, axis=1)
    counts = class_counts(mask, 3)[None]
    assert kept_rows(counts, mask.size, keep, ["a", "b", "c"]).tolist() == [kept]


def test_keep_refuses_unknown_classes() -> None:
    settings = TilingSettings(keep=KeepSettings(least=LeastShare(classes=("lake", "sea"), share=0.1)))
    with pytest.raises(DataError, match=r"names \['lake'\].*'sea', 'land'"):
        check_keep(settings, ["sea", "land"])
    check_keep(settings, ["sea", "lake"])


def test_keep_that_leaves_nothing_is_refused_and_leaves_no_store(tmp_path: Path, made: MadeData) -> None:
    settings = SMALL.model_copy(update={"keep": KeepSettings(least=LeastShare(classes=("land",), share=1.0))})
    with pytest.raises(DataError, match="left no training tile: of"):
        cut(tmp_path / "work", made, settings)
    assert not list((tmp_path / "work").rglob("manifest.json"))


def test_a_tile_larger_than_every_training_scene_is_refused(made: MadeData) -> None:
    with pytest.raises(DataError, match=r"`tiling.tile_size` is 96, .*largest, north/a, is 70 x 96 pixels"):
        plan(made.scenes(), TilingSettings(tile_size=96))


@pytest.mark.parametrize("workers", [1, 3])
def test_an_interrupted_tiling_goes_on_and_equals_one_that_was_not(
    tmp_path: Path, made: MadeData, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    whole = cut(tmp_path / "whole", made)
    write = tiling.write_shard
    written: list[Path] = []

    def interrupted(path: Path, pairs: Iterable[Pair], names: Sequence[str]) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        write(path, pairs, names)
        written.append(path)

    monkeypatch.setattr(tiling, "write_shard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cut(tmp_path / "parts", made)
    before = {path: path.stat() for path in written}
    assert len(before) == 2
    monkeypatch.setattr(tiling, "write_shard", write)
    parts = cut(tmp_path / "parts", made, workers=workers)
    assert shards(parts) == shards(whole)
    assert parts.digest == whole.digest
    assert len(shards(whole)) > 5
    for path, stat in before.items():
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)


def placed_scene(made: MadeData, **changes: Any) -> Scene:
    scene = next(scene for scene in made.scenes() if scene.scene_id == "west/a")
    return replace(scene, crs="EPSG:32640", transform=(0.5, 0.0, 1000.0, 0.0, -0.5, 2000.0), **changes)


def cut_one(made: MadeData, scene: Scene, top: int, left: int, tile: int = 32) -> Pair:
    (pair,) = cut_pairs([Cut(scene, top, left)], made.reader(), TilingSettings(tile_size=tile))
    return pair


def test_bounds_of_georeferenced_tiles_are_those_of_their_pixels(made: MadeData) -> None:
    pair = cut_one(made, placed_scene(made), 8, 16)
    assert pair.crs == "EPSG:32640"
    assert pair.bounds == (1000 + 8, 2000 - 20, 1000 + 24, 2000 - 4)
    padded = cut_one(made, placed_scene(made), 40, 96)
    assert padded.bounds == (1000 + 48, 2000 - 22.5, 1000 + 50.5, 2000 - 20)
    assert cut_one(made, replace(placed_scene(made), transform=None), 0, 0).bounds is None


def test_bounds_follow_window_and_scale(tmp_path: Path) -> None:
    made = make_data(tmp_path, scale=0.5)
    scene = placed_scene(made, window=(20, 10, 64, 32), height=16, width=32)
    assert cut_one(made, scene, 0, 16, 16).bounds == (1000 + 26, 2000 - 21, 1000 + 42, 2000 - 5)


def test_tiles_of_a_georeferenced_scene_cover_its_bounds(made: MadeData) -> None:
    scene = placed_scene(made)
    others = [other for other in made.scenes() if other.scene_id != scene.scene_id]
    cuts = [one for one in plan([*others, scene], SMALL) if one.scene is scene]
    bounds = [pair.bounds for pair in cut_pairs(cuts, made.reader(), SMALL)]
    left, bottom, right, top = np.array(bounds).T
    assert (left.min(), right.max()) == (1000, 1000 + 101 / 2)
    assert (bottom.min(), top.max()) == (2000 - 45 / 2, 2000)


@pytest.mark.parametrize("scale", [1.0, 0.37])
def test_tiles_read_row_by_row_equal_tiles_read_alone(tmp_path: Path, scale: float) -> None:
    made = make_data(
        tmp_path, {("north", "a"): (260, 275), ("east", "a"): (90, 90), ("west", "a"): (90, 90)}, scale=scale
    )
    settings = SMALL.model_copy(update={"stride": 13})
    cuts = plan(made.scenes(), settings)
    together = list(cut_pairs(cuts, made.reader(), settings))
    assert len(together) == len(cuts)
    for cut_, pair in zip(cuts, together, strict=True):
        (alone,) = cut_pairs([cut_], made.reader(), settings)
        assert pair.pair_id == alone.pair_id
        np.testing.assert_array_equal(pair.image, alone.image)
        np.testing.assert_array_equal(pair.mask, alone.mask)


def test_an_image_is_not_read_where_no_tile_is_kept(made: MadeData) -> None:
    scenes = [scene for scene in made.scenes() if scene.split == "train"]
    for scene in scenes:
        # Only its header is left: enough to know its size, not to decode it.
        image = made.raw / scene.image
        image.write_bytes(image.read_bytes()[:200])
    nothing = SMALL.model_copy(update={"keep": KeepSettings(least=LeastShare(classes=("land",), share=1.0))})
    assert list(cut_pairs(plan(scenes, nothing), made.reader(), nothing)) == []
    with pytest.raises(DataError, match="cannot be read"):
        list(cut_pairs(plan(scenes, SMALL), made.reader(), SMALL))


@pytest.mark.parametrize("workers", [1, 2, 3, 50])
def test_the_order_of_work_holds_every_job_once_and_keeps_threads_apart(workers: int) -> None:
    jobs = [(Path(str(number)), []) for number in range(11)]
    order = [int(path.name) for path, _ in tiling._spread(jobs, workers)]
    assert sorted(order) == list(range(11))
    run = -(-11 // workers)
    assert order[: len(range(0, 11, run))] == list(range(0, 11, run))
    assert tiling._spread([], workers) == []


def test_classes_without_a_pixel_are_named_by_split(tmp_path: Path) -> None:
    made = make_data(tmp_path / "raw")
    assert missing_classes(cut(tmp_path / "whole", made)) == []
    for name, mask in made.masks.items():
        gone = {"east/a": 0, "north/a": 2, "north/b": 2, "south/a": 2}.get(name)
        if gone is not None:
            group, file = name.split("/")
            save(made.raw / group / "masks" / f"{file}.png", paint(np.where(mask == gone, 1, mask)))
    assert missing_classes(cut(tmp_path / "lacking", made)) == ["building in train", "water in val"]


def test_a_scene_that_crosses_splits_is_refused_before_anything_is_cut(made: MadeData, tmp_path: Path) -> None:
    scenes = made.scenes()
    scenes.append(replace(scenes[0], split="test"))
    with (
        work_folder(tmp_path / "work", Step("tiling", 1, {}, {})) as folder,
        pytest.raises(DataError, match=f"'{scenes[0].scene_id}' is in both"),
    ):
        cut_scenes(folder, scenes, made.reader(), SMALL, 1)
