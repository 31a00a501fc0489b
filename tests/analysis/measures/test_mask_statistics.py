import numpy as np
import pytest

from satsynth.analysis.measures.mask_statistics import mask_statistics, within_range


def test_statistics_of_a_drawn_mask():
    mask = np.zeros((16, 16), np.uint8)
    mask[2, 2] = 1  # alone
    mask[5:7, 5:9] = 1  # 8 pixels
    mask[10:16, 10:16] = 2  # 36 pixels
    mask[0] = 255
    empty = np.full((16, 16), 255, np.uint8)
    found = mask_statistics([mask, empty], ["a", "b", "c"])
    labelled = 15 * 16
    assert found["isolated"] == pytest.approx(1 / labelled)
    assert found["small"] == pytest.approx(9 / labelled)
    assert found["regions"] == 2
    assert found["share.b"] == pytest.approx(9 / labelled)
    assert sum(found[f"share.{name}"] for name in "abc") == pytest.approx(1)


def test_pixels_that_touch_at_a_corner_are_not_isolated():
    mask = np.zeros((8, 8), np.uint8)
    mask[2, 2] = mask[3, 3] = 1
    assert mask_statistics([mask], ["a", "b"])["isolated"] == 0


def test_statistics_within_the_range_of_real_ones():
    reference = {"isolated": 0.01, "regions": 4.0, "share.rare": 0.0001, "share.none": 0.0}
    assert all(within_range(reference, reference).values())
    found = within_range({"isolated": 0.0151, "regions": 2.7, "share.rare": 0.0, "share.none": 0.0004}, reference)
    # The rare class counts as 0.02 %: none of it is no miss, twice the floor is one.
    assert found == {"isolated": False, "regions": True, "share.rare": True, "share.none": False}


def test_no_masks():
    assert mask_statistics([], ["a"]) == {"isolated": 0, "small": 0, "regions": 0, "share.a": 0}
