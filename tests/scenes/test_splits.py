from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_data import MadeData, describe, make_data, save
from satsynth.datasets.description import BlocksLayout
from satsynth.scenes.blocks import block_windows
from satsynth.scenes.finding import find_scenes, search_scenes
from satsynth.scenes.scene import Scene
from satsynth.scenes.splits import check_apart, neighbours_across_splits
from satsynth.work.errors import DataError
from satsynth.work.files import file_digest

PLAIN = Scene("a", "g", "a.png", "m.png", "train", (0, 0, 20, 20), 20, 20, None, None, "")


def splits(made: MadeData) -> dict[str, str]:
    return {scene.scene_id: scene.split for scene in made.scenes()}


def write_list(made: MadeData, name: str, *lines: str) -> None:
    (made.raw / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_patterns_may_name_scenes(tmp_path: Path) -> None:
    made = make_data(tmp_path, splits={"by": "scene", "val": ["*/b"], "test": ["east/*"]})
    assert splits(made) == {
        "north/a": "train",
        "north/b": "val",
        "south/a": "train",
        "east/a": "test",
        "west/a": "train",
        "west/b": "val",
    }


def test_lists_name_scenes_in_four_ways_and_what_no_list_names_is_left_out(tmp_path: Path) -> None:
    rule = {"lists": {"train": "lists/train.txt", "val": "val.txt", "test": "test.txt"}}
    made = make_data(tmp_path, splits=rule)
    (made.raw / "lists").mkdir()
    write_list(made, "lists/train.txt", "north/a", "", "  south/images/a.png ")
    write_list(made, "val.txt", "east/images/a")
    write_list(made, "test.txt", "west/b")
    assert splits(made) == {"north/a": "train", "south/a": "train", "east/a": "val", "west/b": "test"}


def test_patterns_divide_what_the_lists_leave_to_training(tmp_path: Path) -> None:
    rule = {"by": "scene", "val": ["*/a"], "lists": {"train": "train.txt", "test": "test.txt"}}
    made = make_data(tmp_path, splits=rule)
    write_list(made, "train.txt", "north/a", "north/b")
    write_list(made, "test.txt", "west/a")
    assert splits(made) == {"north/a": "val", "north/b": "train", "west/a": "test"}


def test_without_a_list_for_training_the_rest_trains(tmp_path: Path) -> None:
    made = make_data(tmp_path, splits={"val": ["east"], "lists": {"test": "test.txt"}})
    write_list(made, "test.txt", "west/a")
    assert splits(made)["west/b"] == splits(made)["north/a"] == "train"
    assert splits(made)["west/a"] == "test"


def test_a_list_may_write_accents_in_another_way(tmp_path: Path) -> None:
    made = make_data(tmp_path, splits={"val": ["east"], "lists": {"test": "test.txt"}})
    name = "Saint-Bénoît 1"
    for kind in ("images", "masks"):
        (made.raw / "west" / kind / "a.png").rename(
            made.raw / "west" / kind / f"{unicodedata.normalize('NFD', name)}.png"
        )
    write_list(made, "test.txt", unicodedata.normalize("NFC", name) + ".png")
    assert sum(split == "test" for split in splits(made).values()) == 1


def test_list_lines_that_name_nothing_or_several_are_named_with_their_number(tmp_path: Path) -> None:
    made = make_data(tmp_path, splits={"val": ["east"], "lists": {"test": "test.txt"}})
    write_list(made, "test.txt", "west/a", "gone.png", "a.png")
    _, bad = search_scenes(made.description, made.raw, file_digest)
    assert [(file.file, file.problem) for file in bad] == [
        ("test.txt", "names 'gone.png' in line 2, which is no image here"),
        ("test.txt", "names 'a.png' in line 3, which is 4 images here"),
    ]


def test_a_scene_on_two_lists_and_a_missing_list_are_refused(tmp_path: Path) -> None:
    made = make_data(tmp_path, splits={"lists": {"val": "val.txt", "test": "test.txt"}})
    write_list(made, "val.txt", "east/a")
    with pytest.raises(DataError, match=r"test\.txt, a list under `splits\.lists`.* is missing"):
        made.scenes()
    write_list(made, "test.txt", "west/a", "east/a")
    with pytest.raises(DataError, match=r"'east/a' .* lists of both val and test .*test\.txt, line 2"):
        made.scenes()


def test_lists_that_leave_a_split_empty_are_refused(tmp_path: Path) -> None:
    made = make_data(tmp_path, splits={"lists": {"val": "val.txt", "test": "test.txt"}})
    write_list(made, "val.txt", "east/a")
    write_list(made, "test.txt")
    with pytest.raises(DataError, match=r"The split 'test' .* is empty: no scene is assigned to it"):
        made.scenes()


def test_windows_that_overlap_across_splits_are_refused_and_others_are_not() -> None:
    other = replace(PLAIN, scene_id="b", split="test", window=(19, 19, 5, 5))
    check_apart(
        [PLAIN, replace(other, window=(20, 0, 5, 5)), replace(other, scene_id="c", image="b.png", mask="n.png")]
    )
    check_apart([PLAIN, replace(other, split="train")])
    with pytest.raises(DataError, match=r"'a' \(train\) and 'b' \(test\) overlap in a\.png"):
        check_apart([PLAIN, other])
    with pytest.raises(DataError, match="the scene 'a' is in both train and val"):
        check_apart([PLAIN, replace(PLAIN, split="val", window=(40, 40, 5, 5))])


def test_images_of_different_splits_must_not_have_one_mask_unless_it_is_a_map(tmp_path: Path) -> None:
    # Two dates of one place, which a pattern may put into different splits.
    layout = {
        **describe().layout.model_dump(),
        "pattern": r"(?P<group>[^/]+)/images/(?P<name>[^/_]+)(?P<date>_\d+)?\.png",
        "scene": "{group}/{name}{date}",
    }
    made = make_data(tmp_path, layout=layout, splits={"by": "scene", "val": ["*2021"], "test": ["west/*"]})
    rng = np.random.default_rng(0)
    for date in (2020, 2021):
        save(made.raw / "north" / "images" / f"a_{date}.png", rng.integers(0, 256, (96, 70, 3)).astype(np.uint8))
    with pytest.raises(DataError, match=r"2 scene\(s\) would be in more than one split") as caught:
        made.scenes()
    assert "'north/a_2020' (train) and 'north/a_2021' (val) have the same labels, north/masks/a.png" in str(
        caught.value
    )
    shared = [PLAIN, replace(PLAIN, scene_id="b", image="b.png", split="test")]
    with pytest.raises(DataError, match=r"have the same labels, m\.png"):
        check_apart(shared)
    check_apart(shared, shared_masks=True)
    check_apart([shared[0], replace(shared[1], split="train")])


def test_scenes_that_show_the_same_ground_in_different_splits_are_known() -> None:
    place = {"crs": "EPSG:32640", "transform": (2.0, 0.0, 1000.0, 0.0, -2.0, 5000.0)}
    here = replace(PLAIN, **place)
    # 40 m per side; the neighbour begins `east` metres further east.
    for east, same in ((0, True), (20, True), (39, True), (39.8, False), (40, False), (400, False)):
        moved = replace(
            here, scene_id="b", image="b.tif", split="test", transform=(2.0, 0.0, 1000.0 + east, 0.0, -2.0, 5000.0)
        )
        assert (neighbours_across_splits([here, moved]) == ["'a' (train) and 'b' (test)"]) == same, east
        assert neighbours_across_splits([here, replace(moved, split="train")]) == []
        assert neighbours_across_splits([here, replace(moved, crs="EPSG:32641")]) == []
        assert neighbours_across_splits([here, replace(moved, image=here.image)]) == []
        assert neighbours_across_splits([here, replace(moved, transform=None)]) == []
    # The window of `c` begins 36 m further east within its image.
    part = replace(here, scene_id="c", image="c.tif", split="val", window=(18, 0, 20, 20))
    assert neighbours_across_splits([here, part]) == ["'a' (train) and 'c' (val)"]
    assert neighbours_across_splits([here, replace(part, window=(20, 0, 20, 20))]) == []


@given(st.integers(0, 7), st.lists(st.sampled_from(["train", "val", "test"]), min_size=12, max_size=12))
def test_blocks_of_different_splits_are_a_margin_apart_and_no_other_pixel_is_lost(
    margin: int, chosen: list[str]
) -> None:
    side, columns = 16, 4
    layout = BlocksLayout(kind="blocks", image="a", mask="m", block=side, rows=(0, 2), margin=margin)
    splits = {(i % columns, i // columns): split for i, split in enumerate(chosen)}
    windows = block_windows(splits, layout)
    for (column, row), (x, y, width, height) in windows.items():
        neighbours = [
            cell
            for cell, split in splits.items()
            if split != splits[column, row] and max(abs(cell[0] - column), abs(cell[1] - row)) == 1
        ]
        whole = (column * side, row * side, side, side)
        assert splits[column, row] != "test" or (x, y, width, height) == whole
        assert neighbours or (x, y, width, height) == whole
        assert width >= side - 2 * margin and height >= side - 2 * margin
    for a, first in windows.items():
        for b, second in windows.items():
            if splits[a] != splits[b]:
                gaps = [max(second[i] - first[i] - first[i + 2], first[i] - second[i] - second[i + 2]) for i in (0, 1)]
                assert max(gaps) >= margin
    check_apart(replace(PLAIN, scene_id=str(cell), split=splits[cell], window=windows[cell]) for cell in windows)


def test_blocks_of_a_raster_of_ones_own_keep_their_margin_in_the_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    save(tmp_path / "image.png", rng.integers(0, 256, (64, 96, 3)).astype(np.uint8))
    save(tmp_path / "mask.png", rng.integers(0, 2, (64, 96)).astype(np.uint8))
    description = describe(
        layout={"kind": "blocks", "image": "image.png", "mask": "mask.png", "block": 32, "rows": [0, 1], "margin": 5},
        masks={"encoding": "index"},
        classes=[{"name": f"c{i}", "raw": i, "color": "#000000"} for i in range(2)],
        ignore=[],
        splits={"val": ["c01"], "test": ["c02"]},
    )
    scenes = {scene.scene_id: scene for scene in find_scenes(description, tmp_path, file_digest)}
    assert scenes["r00c00"].window == (0, 0, 27, 32)
    assert scenes["r01c01"].window == (32, 32, 27, 32)
    assert scenes["r01c02"].window == (64, 32, 32, 32)
    assert (scenes["r01c01"].width, scenes["r01c01"].height) == (27, 32)
