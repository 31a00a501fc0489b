"""Regions of training scenes pasted into layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_data import NAMES, MadeData, make_data, paint, save
from satsynth.datasets.description import KeepSettings
from satsynth.generation.settings import SamplingSettings
from satsynth.pairs.layouts import WindowLayouts, accepted
from satsynth.pairs.masks import MaskStore, write_scene_masks
from satsynth.pairs.pasting import paste, whole_regions
from satsynth.pairs.settings import PastedRegions, WindowSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.folder import Step, work_folder
from satsynth.work.ignore import IGNORE_INDEX

SIDE, ANY = 32, KeepSettings(max_ignore=1)
UPRIGHT = WindowSettings(zoom=(1, 1), angles="none", mirrored=False)
# An L of 7 x 5 pixels.
SHAPE = np.zeros((7, 5), bool)
SHAPE[:, :2] = SHAPE[5:] = True


def layouts_of(made: MadeData, root: Path, how: WindowSettings, share: float, *classes: str) -> WindowLayouts:
    with work_folder(root, Step("scene_masks", 1, {}, {})) as folder:
        write_scene_masks(folder, made.scenes(), made.reader())
    pasted = PastedRegions(share=share, classes=classes)
    return WindowLayouts(MaskStore(folder.result).path, SIDE, how.model_copy(update={"pasted": pasted}), ANY)


@pytest.fixture
def two_colors(tmp_path: Path) -> MadeData:
    """Training scenes of water, one of land with one building, and held-out scenes full of buildings."""
    made = make_data(tmp_path / "raw", {("north", "a"): (96, 70), ("south", "a"): (65, 64), ("east", "a"): (70, 40),
                                        ("west", "a"): (45, 101)})  # fmt: skip
    for scene in made.scenes():
        mask = np.full((scene.height, scene.width), 2, np.uint8)
        if scene.split == "train":
            mask[:] = 0 if scene.group == "north" else 1
        if scene.group == "south":
            mask[30:37, 30:35][SHAPE] = 2
        save(made.raw / scene.mask, paint(mask))
    return made


def test_a_pasted_region_keeps_its_shape_and_comes_from_another_training_scene(
    two_colors: MadeData, tmp_path: Path
) -> None:
    layouts = layouts_of(two_colors, tmp_path / "work", UPRIGHT, 1.0, "building")
    masks = layouts.masks(range(24), 0)
    of_water = [mask for mask in masks if (mask == 0).any()]
    assert len(of_water) > 5
    for mask in of_water:
        # Water has no building of its own, and the held-out scenes have nothing but buildings of other shapes.
        (region,) = whole_regions(np.pad(mask, 1), 2)
        assert np.array_equal(region, SHAPE) and set(np.unique(mask)) == {0, 2}
    for mask in masks:
        # The only scene with a building gets none from itself.
        assert (mask == 0).any() or (mask == 2).sum() <= SHAPE.sum()


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_layouts_into_which_nothing_is_pasted_are_those_without_pasting(
    two_colors: MadeData, tmp_path: Path, share: float
) -> None:
    plain = layouts_of(two_colors, tmp_path / "plain", UPRIGHT, 0.0).masks(range(30), 3)
    edited = layouts_of(two_colors, tmp_path / "edited", UPRIGHT, share, "building").masks(range(30), 3)
    changed = (plain != edited).any((1, 2))
    of_water = (plain == 0).any((1, 2))
    assert not changed[~of_water].any()
    if share:
        assert 0.2 < changed[of_water].mean() < 0.8
    else:
        assert not changed.any()


def test_an_edited_layout_depends_on_seed_and_number_only(made: MadeData, tmp_path: Path) -> None:
    layouts = layouts_of(made, tmp_path / "work", WindowSettings(), 1.0)
    masks = layouts.masks(range(6), 3)
    assert np.array_equal(masks[4:], layouts.masks(range(4, 6), 3))
    assert not np.array_equal(masks, layouts.masks(range(6), 4))


def test_without_a_region_anywhere_the_layout_stays(two_colors: MadeData, tmp_path: Path) -> None:
    # Water fills its scene, so each of its regions may have been cut by the border of a window.
    plain = layouts_of(two_colors, tmp_path / "plain", UPRIGHT, 0.0).masks(range(2), 0)
    assert np.array_equal(layouts_of(two_colors, tmp_path / "work", UPRIGHT, 1.0, "water").masks(range(2), 0), plain)


@given(seed=st.integers(0, 1000), height=st.integers(1, 8), width=st.integers(1, 8))
def test_pasting_changes_known_pixels_of_the_region_only(seed: int, height: int, width: int) -> None:
    random = np.random.default_rng(seed)
    layout = random.choice([0, 1, IGNORE_INDEX], (8, 8)).astype(np.uint8)
    region = random.random((height, width)) < 0.6
    before, edited = layout.copy(), paste(layout, region, 2, random)
    assert np.array_equal(layout, before)
    assert np.array_equal(edited == IGNORE_INDEX, layout == IGNORE_INDEX)
    assert set(np.unique(edited[edited != layout])) <= {2}
    assert (edited == 2).sum() <= region.sum()
    known = paste(np.zeros((8, 8), np.uint8), region, 2, random)
    views = np.lib.stride_tricks.sliding_window_view(known == 2, region.shape).reshape(-1, *region.shape)
    assert (known == 2).sum() == region.sum() and any(np.array_equal(view, region) for view in views)


def test_regions_that_touch_the_border_are_not_whole() -> None:
    mask = np.zeros((12, 12), np.uint8)
    mask[0:3, 4:6] = mask[5:7, 5:9] = 1
    # A corner joins regions.
    mask[7, 9] = 1
    (region,) = whole_regions(mask, 1)
    assert region.tolist() == [[True] * 4 + [False]] * 2 + [[False] * 4 + [True]]
    assert whole_regions(mask, 0) == whole_regions(mask, 2) == []


def test_classes_that_do_not_exist_are_refused() -> None:
    how = WindowSettings(pasted=PastedRegions(share=0.5, classes=("house",)))
    with pytest.raises(SatSynthError, match=r"`sampling\.windows\.pasted\.classes` names house; the classes are water"):
        accepted(how, ANY, NAMES)


def test_pasting_counts_for_a_set_only_where_something_is_pasted() -> None:
    def identity(layouts: str, **pasted: object) -> dict[str, object]:
        return SamplingSettings(layouts=layouts, windows={"pasted": pasted}).identity()

    assert identity("joint", share=0.5) == identity("joint")
    assert identity("real", classes=["water"]) == identity("real")
    assert identity("real", share=0.5) != identity("real", share=0.25) != identity("real")
