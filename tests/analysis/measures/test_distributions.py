import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage, stats

from satsynth.analysis.measures.distributions import STATISTICS, adjacency_rows, class_rows
from satsynth.work.ignore import IGNORE_INDEX

NAMES = ("one", "two", "three")
masks_of = arrays(
    np.uint8, st.tuples(st.integers(1, 4), st.just(9), st.just(7)), elements=st.sampled_from([0, 1, 2, IGNORE_INDEX])
)


@given(masks_of)
def test_class_rows_against_scipy(masks):
    table = class_rows("train", masks, NAMES)
    labelled = max(1, (masks != IGNORE_INDEX).sum())
    assert table["class"].tolist() == list(NAMES)
    assert set(table["split"]) == {"train"}
    for k, row in enumerate(table.to_dict("records")):
        regions = [ndimage.label(mask == k, np.ones((3, 3)))[1] for mask in masks]
        pixels = int((masks == k).sum())
        assert row["pixel_share"] == pytest.approx(pixels / labelled)
        assert row["image_share"] == pytest.approx(np.mean([(mask == k).any() for mask in masks]))
        assert row["regions"] == pytest.approx(np.mean(regions))
        expected = pixels / sum(regions) if pixels else np.nan
        assert row["region_pixels"] == pytest.approx(expected, nan_ok=True)
    assert table["pixel_share"].sum() == pytest.approx(1 if (masks != IGNORE_INDEX).any() else 0)


def test_diagonal_neighbours_are_one_region():
    assert class_rows("a", [np.array([[0, 1], [1, 0]], np.uint8)], NAMES)["regions"].tolist() == [1, 1, 0]


def test_masks_may_come_one_by_one():
    masks = np.random.default_rng(0).integers(0, 3, (5, 8, 8), np.uint8)
    pd.testing.assert_frame_equal(class_rows("a", iter(masks), NAMES), class_rows("a", masks, NAMES))


def test_intervals_are_over_scenes():
    random = np.random.default_rng(0)
    # Twenty scenes of four like masks: the scenes differ, the masks of one do not.
    shares = random.uniform(0.1, 0.9, 20).repeat(4)
    masks = np.stack([(np.arange(100) < 100 * share).astype(np.uint8).reshape(10, 10) for share in shares])
    scenes = [f"s{i // 4}" for i in range(80)]
    by_scene, by_mask = class_rows("a", masks, NAMES, scenes), class_rows("a", masks, NAMES)
    for statistic in STATISTICS:
        np.testing.assert_array_equal(by_scene[statistic], by_mask[statistic])
        known = by_scene[by_scene[statistic].notna()]
        assert len(known) >= 2 and (known[f"{statistic}_low"] <= known[statistic] + 1e-12).all()
        assert (known[statistic] <= known[f"{statistic}_high"] + 1e-12).all()
    wide, narrow = (table["pixel_share_high"][1] - table["pixel_share_low"][1] for table in (by_scene, by_mask))
    assert wide == pytest.approx(2 * narrow, rel=0.15)
    mean = masks.mean((1, 2))
    assert wide == pytest.approx(2 * 1.96 * mean[::4].std() / np.sqrt(20), rel=0.15)


@given(masks_of)
def test_adjacency_against_loops(masks):
    counts = np.zeros((3, 3))
    for mask in masks:
        for y in range(9):
            for x in range(7):
                for dy, dx in ((0, 1), (1, 0)):
                    if y + dy < 9 and x + dx < 7:
                        pair = sorted((int(mask[y, x]), int(mask[y + dy, x + dx])))
                        if pair[1] != IGNORE_INDEX and pair[0] != pair[1]:
                            counts[tuple(pair)] += 1
    table = adjacency_rows("a", masks, NAMES)
    assert list(zip(table["class"], table["neighbour"], strict=True)) == [
        ("one", "two"),
        ("one", "three"),
        ("two", "three"),
    ]
    assert table["share"].to_numpy() == pytest.approx(counts[np.triu_indices(3, 1)] / max(1, counts.sum()))


def test_a_resample_without_a_class_does_not_say_that_its_regions_are_small():
    # One scene of four has the class, in one region of four pixels: whatever is drawn, no other size was seen.
    masks = np.zeros((4, 8, 8), np.uint8)
    masks[0, :2, :2] = 1
    row = class_rows("a", masks, NAMES).set_index("class").loc["two"]
    assert row[["region_pixels", "region_pixels_low", "region_pixels_high"]].tolist() == [4, 4, 4]
    assert row["regions_low"] == 0 < row["regions_high"]
    missing = class_rows("a", masks, NAMES).set_index("class").loc["three"]
    assert missing[["region_pixels", "region_pixels_low", "region_pixels_high"]].isna().all()


def test_intervals_of_adjacency_are_over_scenes():
    # Of 16 scenes of three like masks, half touch as one-two alone, half as one-three alone.
    masks = np.zeros((48, 4, 4), np.uint8)
    masks[:24, :, 2:] = 1
    masks[24:, :, 2:] = 2
    scenes = [f"s{i // 3}" for i in range(48)]
    by_scene, by_mask = (adjacency_rows("a", masks, NAMES, s).set_index("neighbour") for s in (scenes, None))
    assert by_scene["share"].tolist() == by_mask["share"].tolist() == [0.5, 0.5, 0]
    # How many of 16 drawn scenes are of the second kind is binomial.
    low, high = stats.binom.ppf([0.025, 0.975], 16, 0.5) / 16
    ends = by_scene.reset_index().query("neighbour == 'three' and `class` == 'one'")
    assert ends[["share_low", "share_high"]].to_numpy().tolist() == [[low, high]]
    assert (by_mask["share_low"].iloc[:2] > by_scene["share_low"].iloc[:2]).all()


def test_one_scene_says_nothing_of_how_scenes_differ():
    masks = np.random.default_rng(0).integers(0, 3, (6, 8, 8), np.uint8)
    for rows in (class_rows, adjacency_rows):
        table = rows("a", masks, NAMES, ["one"] * 6)
        assert table.filter(regex="_(low|high)$").isna().all(axis=None)
        assert table.filter(regex="share$").notna().all(axis=None)
