"""Proposed splits keep neighbours together and follow folders, lists and names."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from described import described, ids, scenes_of
from layouts import LAYOUTS, Layout, write_layout
from made_data import blobs, picture, save
from satsynth.describing.splits import _runs
from satsynth.scenes.finding import find_scenes
from satsynth.work.files import file_digest


def groups_of(folder: Path) -> dict[str, set[str]]:
    description, _ = described(folder)
    found: dict[str, set[str]] = {}
    for scene in scenes_of(description, folder):
        found.setdefault(scene.split, set()).add(scene.group)
    return found


def test_neighbours_in_one_folder_stay_together(tmp_path: Path) -> None:
    write_layout(tmp_path, LAYOUTS["tiles"])
    found = groups_of(tmp_path)
    assert found == {"test": {"Tile 7", "Tile 8"}, "val": {"Tile 6"}, "train": {f"Tile {i}" for i in range(1, 6)}}


def test_places_in_names_are_groups(tmp_path: Path) -> None:
    write_layout(tmp_path, LAYOUTS["placed"])
    assert groups_of(tmp_path) == {"test": {"vienna"}, "val": {"tyrol"}, "train": {"austin", "kitsap"}}


@pytest.mark.parametrize("corner", ["_{}_{}", "-r{}-c{}", " x{}_y{}", "_0{}.0{}"])
def test_parts_of_one_scene_stay_together(tmp_path: Path, corner: str) -> None:
    scenes = ["P0001", "P0002", "P0003_2021", "P0004"]
    names = [scene + corner.format(row, column) for scene in scenes for row in (0, 512) for column in (0, 512)]
    write_layout(tmp_path, Layout([("", name) for name in names], "images/{1}.png", "masks/{1}.png"))
    assert groups_of(tmp_path) == {"test": {"P0004"}, "val": {"P0003_2021"}, "train": {"P0001", "P0002"}}


@given(st.lists(st.text("a*?[]/012", min_size=1, max_size=5), min_size=1, max_size=40, unique=True), st.data())
@settings(deadline=None)
def test_patterns_of_runs_match_what_they_are_for_and_nothing_else(order: list[str], data: st.DataObject) -> None:
    chosen = data.draw(st.sets(st.sampled_from(order)))
    patterns = _runs(sorted(chosen), order)
    assert {name for name in order if any(fnmatchcase(name, pattern) for pattern in patterns)} == chosen
    assert len(patterns) <= len(chosen)


@pytest.mark.parametrize("name", ["split_below", "split_in_name"])
def test_folders_that_are_splits_are_the_splits(tmp_path: Path, name: str) -> None:
    write_layout(tmp_path, LAYOUTS[name])
    assert groups_of(tmp_path) == {split: {split} for split in ("train", "val", "test")}


def test_without_a_folder_for_the_test_validation_becomes_it(tmp_path: Path) -> None:
    write_layout(tmp_path, LAYOUTS["nested"])
    found = groups_of(tmp_path)
    assert {name.split("/")[0] for name in found["test"]} == {"val"} and len(found["test"]) == 20
    assert found["val"] == {"train/P0018", "train/P0019"}


def test_lists_decide_where_there_are_some(tmp_path: Path) -> None:
    write_layout(tmp_path, LAYOUTS["parallel"])
    (tmp_path / "val.txt").write_text("1\n5.png\n")
    (tmp_path / "test.txt").write_text("images/7.png\n0\n")
    found = groups_of(tmp_path)
    assert found["val"] == {"1", "5"} and found["test"] == {"7", "0"} and len(found["train"]) == 8
    # With a training list, scenes on no list are left out. Without a test list, val serves as the test.
    (tmp_path / "test.txt").unlink()
    (tmp_path / "train.txt").write_text("\n".join("2346789") + "\n10\n")
    found = groups_of(tmp_path)
    assert found == {"test": {"1", "5"}, "val": {"10"}, "train": set("2346789")}


def test_a_list_of_scenes_without_masks_is_not_used(tmp_path: Path) -> None:
    write_layout(tmp_path, LAYOUTS["parallel"])
    for split, names in {"train": "02346789", "val": "15", "test": "xyz"}.items():
        (tmp_path / f"{split}.txt").write_text("\n".join(names))
    _, text = described(tmp_path)
    assert "test.txt is not used" in text
    assert groups_of(tmp_path)["test"] == {"1", "5"}


def test_many_scenes_get_a_short_rule(tmp_path: Path) -> None:
    write_layout(tmp_path, Layout([("", f"{i}") for i in range(400)], "images/{1}.png", "masks/{1}.png"))
    description, text = described(tmp_path, most_masks=5)
    assert description.splits.val == ("28?", "29?", "30?", "31?")
    assert description.splits.test == tuple(f"3{i}?" for i in range(2, 10))
    found = {int(scene.scene_id): scene.split for scene in find_scenes(description, tmp_path, file_digest)}
    assert found == {i: "train" if i < 280 else "val" if i < 320 else "test" for i in range(400)}
    assert "5 of 400 masks were read" in " ".join(text.replace("#", " ").split())


def test_a_short_rule_for_validation_does_not_reach_into_the_test(tmp_path: Path) -> None:
    scenes = [(split, f"{i}") for split, count in (("train", 1200), ("val", 30)) for i in range(count)]
    layout = Layout(scenes, "{0}/images/{1}.png", "{0}/masks/{1}.png")
    rng = np.random.default_rng(1)
    mask = ids(blobs(rng, 16, 16))
    for split, name in scenes:
        save(tmp_path / layout.image.format(split, name), picture(rng, 16, 16))
        save(tmp_path / layout.mask.format(split, name), mask)
    description, _ = described(tmp_path, most_masks=3)
    assert description.splits.val == ("train/108?", "train/109?", "train/11??")
    assert description.splits.test == ("val/*",)
    counts = Counter(scene.split for scene in find_scenes(description, tmp_path, file_digest))
    assert counts == {"train": 1080, "val": 120, "test": 30}
