from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_data import blobs, picture
from satsynth.pairs.pair import class_counts, decode_image, decode_mask, encode_image, encode_mask
from satsynth.work.errors import DataError
from satsynth.work.ignore import IGNORE_INDEX

SIDE = st.integers(1, 40)


@given(SIDE, SIDE, st.integers(0, 99))
def test_pictures_survive_a_round_trip(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image, mask = picture(rng, height, width), picture(rng, height, width)[..., 0]
    np.testing.assert_array_equal(decode_image(encode_image(image)), image)
    np.testing.assert_array_equal(decode_mask(encode_mask(mask)), mask)


@given(st.integers(1, 254), st.integers(0, 99))
def test_class_counts_equal_brute_force_and_leave_out_ignored_pixels(classes: int, seed: int) -> None:
    mask = blobs(np.random.default_rng(seed), 13, 17, classes)
    counts = class_counts(mask, classes)
    assert counts.tolist() == [int((mask == k).sum()) for k in range(classes)]
    assert counts.sum() == mask.size - (mask == IGNORE_INDEX).sum()


@pytest.mark.parametrize("data", [b"", b"no picture"])
def test_a_damaged_picture_is_refused(data: bytes) -> None:
    for decode in (decode_image, decode_mask):
        with pytest.raises(DataError, match="damaged"):
            decode(data)
