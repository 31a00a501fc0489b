"""Masks for which images are painted: those of training scenes, and those of a user."""

import json

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from made_data import NAMES, blobs, describe, make_data, paint, save, write_store
from satsynth.datasets.description import KeepSettings
from satsynth.datasets.painting import Painter
from satsynth.pairs.layouts import DrawnLayouts, WindowLayouts, accepted, require_takeable
from satsynth.pairs.masks import (
    MaskStore,
    drawn_masks_step,
    find_drawn_masks,
    with_own_ignored,
    write_drawn_masks,
    write_scene_masks,
)
from satsynth.pairs.pair import Pair
from satsynth.pairs.settings import WindowSettings
from satsynth.work.errors import DataError, SatSynthError
from satsynth.work.folder import Step, work_folder
from satsynth.work.ignore import IGNORE_INDEX

SIDE = 32
ANY = KeepSettings(max_ignore=1)


def of_scenes(made, root):
    with work_folder(root, Step("scene_masks", 1, {}, {})) as folder:
        write_scene_masks(folder, made.scenes(), made.reader())
    return MaskStore(folder.result)


def of_drawn(folder, root, description=None, side=SIDE):
    description, files = description or describe(), find_drawn_masks(str(folder), folder)
    with work_folder(root, drawn_masks_step(files, description, side)) as work:
        write_drawn_masks(work, files, description, side)
    return MaskStore(work.result)


def test_masks_of_training_scenes_are_kept_as_they_are(made, tmp_path, monkeypatch):
    monkeypatch.setattr("satsynth.pairs.masks.STRIPE", 30)
    store = of_scenes(made, tmp_path / "work")
    train = [scene.scene_id for scene in made.scenes() if scene.split == "train"]
    assert [entry.name for entry in store.entries] == train and len(train) == 3
    for name, mask in zip(train, store.arrays(), strict=True):
        assert np.array_equal(mask, made.masks[name])


@pytest.mark.parametrize("split", ["val", "test"])
def test_windows_never_come_from_scenes_of_val_or_test(tmp_path, split):
    """Each split has scenes of one colour only; that of the other splits never appears."""
    made = make_data(tmp_path / "raw")
    classes = {"train": 0, "val": 1, "test": 2}
    for scene in made.scenes():
        save(made.raw / scene.mask, paint(np.full((scene.height, scene.width), classes[scene.split], np.uint8)))
    store = of_scenes(made, tmp_path / "work")
    masks = WindowLayouts(store.path, SIDE, WindowSettings(), ANY).masks(range(100), 0)
    assert (masks == classes["train"]).all() and not (masks == classes[split]).any()


def test_a_layout_depends_on_seed_and_number_only(made, tmp_path):
    layouts = WindowLayouts(of_scenes(made, tmp_path / "work").path, SIDE, WindowSettings(), ANY)
    masks = layouts.masks(range(6), 3)
    assert np.array_equal(masks[4:], layouts.masks(range(4, 6), 3))
    assert not np.array_equal(masks, layouts.masks(range(6), 4))
    assert len({mask.tobytes() for mask in masks}) == 6


@pytest.mark.parametrize("angles", ["right", "none"])
def test_upright_windows_at_zoom_one_are_parts_of_a_scene(made, tmp_path, angles):
    store = of_scenes(made, tmp_path / "work")
    how = WindowSettings(zoom=(1, 1), angles=angles, mirrored=angles == "right")
    parts = set()
    for mask in store.arrays():
        views = np.lib.stride_tricks.sliding_window_view(mask, (SIDE, SIDE)).reshape(-1, SIDE, SIDE)
        for turns in range(4 if angles == "right" else 1):
            turned = np.rot90(views, turns, (1, 2))
            parts |= {part.tobytes() for part in turned}
            parts |= {part.tobytes() for part in turned[:, ::-1]} if how.mirrored else set()
    for mask in WindowLayouts(store.path, SIDE, how, ANY).masks(range(40), 0):
        assert mask.tobytes() in parts


def test_windows_keep_to_the_rule_for_training_tiles(tmp_path):
    made = make_data(tmp_path / "raw")
    layouts = WindowLayouts(
        of_scenes(made, tmp_path / "work").path,
        SIDE,
        WindowSettings(),
        KeepSettings(max_ignore=0.1, least={"classes": ["building"], "share": 0.35}),
    )
    masks = layouts.masks(range(30), 0)
    assert ((masks == IGNORE_INDEX).mean((1, 2)) <= 0.1).all()
    assert ((masks == 2).mean((1, 2)) >= 0.35).all()


def test_classes_of_large_weight_are_drawn_more_often(made, tmp_path):
    for scene in made.scenes():
        mask = np.ones((scene.height, scene.width), np.uint8)
        mask[:12, :12] = 2
        save(made.raw / scene.mask, paint(mask))
    path = of_scenes(made, tmp_path / "work").path

    def share(**weights):
        layouts = WindowLayouts(path, SIDE, WindowSettings(class_weights=weights), ANY)
        masks = layouts.masks(range(60), 0)
        return (masks == 2).mean()

    assert 0 < 3 * share() < share(building=50.0)


@pytest.mark.parametrize(
    ("weights", "problem"),
    [({"house": 2.0}, "names house; the classes are water, land"), (dict.fromkeys(NAMES, 0.0), "gives 0 to every")],
)
def test_weights_that_mean_nothing_are_refused(weights, problem):
    with pytest.raises(SatSynthError, match=problem):
        accepted(WindowSettings(class_weights=weights), ANY, NAMES)


def test_scenes_that_are_too_small_for_a_window_are_left_out(made, tmp_path):
    layouts = WindowLayouts(of_scenes(made, tmp_path / "work").path, 128, WindowSettings(), ANY)
    with pytest.raises(DataError, match=r"windows of 128 pixels at `sampling.windows.zoom` \[0.8, 1.25\]"):
        layouts.masks([0], 0)


def test_windows_that_are_hardly_ever_taken_end_in_an_error_and_never_in_another_window(made, tmp_path, monkeypatch):
    for number, scene in enumerate(scene for scene in made.scenes() if scene.split == "train"):
        mask = np.zeros((scene.height, scene.width), np.uint8)
        if number == 0:
            mask[20:26, 20:26] = 2
        save(made.raw / scene.mask, paint(mask))
    weights = dict.fromkeys(NAMES, 0.0) | {"building": 1.0}
    path = of_scenes(made, tmp_path / "work").path
    # One window in more than a thousand is taken.
    layouts = WindowLayouts(path, SIDE, WindowSettings(class_weights=weights), ANY)
    assert all((mask == 2).any() for mask in layouts.masks(range(3), 0))
    monkeypatch.setattr("satsynth.pairs.windows.MORE_TRIES", 1)
    with pytest.raises(
        DataError, match=r"none was taken, by `tiling.keep` and `sampling.windows.class_weights` .*building"
    ) as caught:
        layouts.masks([3], 0)
    assert "more weight" in caught.value.remedy


@pytest.mark.parametrize(("weight", "refused"), [(0.0, True), (0.2, False)])
def test_weights_by_which_hardly_a_window_is_taken_are_refused_beforehand(tmp_path, weight, refused):
    masks = [np.zeros((SIDE, SIDE), np.uint8) for _ in range(3)]
    masks[0][0, 0] = 2
    pairs = [
        Pair(f"train-{i}", np.zeros((SIDE, SIDE, 3), np.uint8), mask, "train", "scene", 0, i * SIDE)
        for i, mask in enumerate(masks)
    ]
    tiles = write_store(tmp_path, pairs, SIDE)
    weights = dict.fromkeys(NAMES, weight) | {"building": 1.0}
    if refused:
        with pytest.raises(SatSynthError, match=r"one in 3,072 windows"):
            require_takeable(WindowSettings(class_weights=weights), tiles)
    else:
        require_takeable(WindowSettings(class_weights=weights), tiles)


def drawing(path, mask):
    save(path, paint(mask))
    return mask


def test_drawn_masks_are_taken_in_turn_and_larger_ones_by_tiles(tmp_path):
    random = np.random.default_rng(0)
    small = drawing(tmp_path / "drawn" / "a.png", blobs(random, SIDE, SIDE))
    large = drawing(tmp_path / "drawn" / "more" / "b.png", blobs(random, SIDE, 2 * SIDE + 5))
    store = of_drawn(tmp_path / "drawn", tmp_path / "work")
    assert [entry.name for entry in store.entries] == ["a", "more/b"]
    layouts = DrawnLayouts(store.path, SIDE)
    assert layouts.distinct == 4
    masks = layouts.masks(range(9), 0)
    expected = [small, large[:, :SIDE], large[:, SIDE : 2 * SIDE], large[:, -SIDE:]]
    assert np.array_equal(masks, np.stack([expected[number % 4] for number in range(9)]))


def test_a_drawn_mask_keeps_its_place_on_earth(tmp_path):
    mask = blobs(np.random.default_rng(1), SIDE, SIDE + 8)
    place = from_origin(500_000, 4_000_000, 0.5, 0.5)
    (tmp_path / "drawn").mkdir()
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": SIDE, "width": SIDE + 8}
    with rasterio.open(
        tmp_path / "drawn" / "plan.tif", "w", crs="EPSG:32640", transform=place, photometric="RGB", **profile
    ) as file:
        file.write(np.moveaxis(paint(mask), -1, 0))
    store = of_drawn(tmp_path / "drawn", tmp_path / "work")
    assert np.array_equal(store.arrays()[0], mask)
    entry = store.entries[0]
    assert entry.crs == "EPSG:32640" and entry.transform == tuple(place)[:6]


@pytest.mark.parametrize("encoding", ["index", "attribute"])
def test_drawn_masks_may_hold_ids(tmp_path, encoding):
    if encoding == "index":
        classes = [{"name": name, "raw": 10 * (k + 1), "color": [k, 0, 0]} for k, name in enumerate(NAMES)]
        description, raws = describe(masks={"encoding": "index"}, classes=classes, ignore=[7]), [10, 20, 30, 7]
    else:
        # Polygons have no raw values in a raster.
        classes = [{"name": name, "raw": name, "color": [k, 0, 0]} for k, name in enumerate(NAMES)]
        masks = {"encoding": "attribute", "reader": "vector", "attribute": "kind"}
        description, raws = describe(masks=masks, classes=classes, ignore=[]), [0, 1, 2, 255]
    mask = np.array(raws, np.uint8)[np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % 4]
    save(tmp_path / "drawn" / "a.png", mask)
    found = of_drawn(tmp_path / "drawn", tmp_path / "work", description).arrays()[0]
    assert found[0, :4].tolist() == [0, 1, 2, IGNORE_INDEX]


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("encoding", ["index", "color"])
def test_masks_that_satsynth_itself_has_written_can_be_drawn_masks(tmp_path, encoding, beside):
    """What it writes for ignored pixels where the data set has no value for them is read as such again."""
    raws = [[k, 90, 0] if encoding == "color" else 10 * (k + 1) for k in range(len(NAMES))]
    classes = [{"name": name, "raw": raws[k], "color": [k, 0, 0]} for k, name in enumerate(NAMES)]
    description = describe(masks={"encoding": encoding}, classes=classes, ignore=[])
    mask = blobs(np.random.default_rng(2), SIDE, SIDE)
    assert (mask == IGNORE_INDEX).any()
    folder = tmp_path / "drawn" / "masks"
    save(folder / "a.png", Painter(description).paint(mask))
    legend = (folder.parent if beside else folder) / "classes.json"
    legend.write_text(json.dumps(Painter(description).legend()))
    read = with_own_ignored(description, folder)
    assert np.array_equal(of_drawn(folder, tmp_path / "work", read).arrays()[0], mask)


@pytest.mark.parametrize("legend", [None, "{", "[]", '{"ignore": ["#FFFFFF"]}'])
def test_without_its_legend_no_further_value_is_taken_for_ignored(tmp_path, legend):
    """In masks of somebody else 255 or black may be a class that the description has another value for."""
    description = describe(ignore=[])
    save(tmp_path / "drawn" / "a.png", np.zeros((SIDE, SIDE, 3), np.uint8))
    if legend is not None:
        (tmp_path / "drawn" / "classes.json").write_text(legend)
    assert with_own_ignored(description, tmp_path / "drawn") == description
    with pytest.raises(DataError, match="colour #000000"):
        of_drawn(tmp_path / "drawn", tmp_path / "work", description)


def small_mask(folder):
    drawing(folder / "a.png", blobs(np.random.default_rng(0), SIDE, SIDE - 1))


def foreign_mask(folder):
    save(folder / "a.png", np.full((SIDE, SIDE, 3), 77, np.uint8))


def twice(folder):
    for name in ("a.png", "a.tif"):
        drawing(folder / name, blobs(np.random.default_rng(0), SIDE, SIDE))


@pytest.mark.parametrize(
    ("make", "problem", "remedy"),
    [
        (lambda folder: folder.mkdir(), "holds no masks", "sampling.layout_folder=<folder>"),
        (small_mask, r"1 mask\(s\) .* smaller than a tile of 32 x 32 pixels:\n.*a\.png: 31 x 32", "Draw them larger"),
        (foreign_mask, r"a\.png holds values that are no class of 'made': colour #4D4D4D", r"classes\.json"),
        (twice, r"same name but for the suffix", "Keep one"),
    ],
)
def test_masks_that_cannot_be_used_are_refused(tmp_path, make, problem, remedy):
    make(tmp_path / "drawn")
    with pytest.raises(DataError, match=problem) as caught:
        of_drawn(tmp_path / "drawn", tmp_path / "work")
    assert remedy.replace("\\", "") in caught.value.remedy
