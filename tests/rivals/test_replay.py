from __future__ import annotations

import numpy as np

from satsynth.generation.drawers import Request
from satsynth.pairs.cache import DecodedPairs
from satsynth.rivals.replay import ReplayDrawer, ReplaySettings

NUMBER = 6
RANDOM = np.random.default_rng(0)
PAIRS = DecodedPairs(
    RANDOM.integers(0, 256, (NUMBER, 8, 8, 3), np.uint8), RANDOM.integers(0, 3, (NUMBER, 8, 8), np.uint8)
)


def places(images: np.ndarray) -> list[int]:
    """Return which pair each image is."""
    return [int(np.flatnonzero((PAIRS.images == image).all((1, 2, 3)))[0]) for image in images]


def test_each_pair_comes_once_before_any_comes_twice() -> None:
    images, masks = ReplayDrawer(PAIRS, ReplaySettings()).draw(range(2 * NUMBER), Request(3))
    found = places(images)
    assert sorted(found[:NUMBER]) == sorted(found[NUMBER:]) == list(range(NUMBER))
    assert found[:NUMBER] != found[NUMBER:]
    assert np.array_equal(masks, PAIRS.masks[found])


def test_turned_pairs_are_symmetries_of_image_and_mask_alike() -> None:
    plain, turned = (ReplayDrawer(PAIRS, ReplaySettings(turned=t)).draw(range(40), Request(3)) for t in (False, True))
    used = set()
    for image, mask, image_turned, mask_turned in zip(*plain, *turned, strict=True):
        views = [
            (np.rot90(side_i, k), np.rot90(side_m, k))
            for side_i, side_m in ((image, mask), (image[:, ::-1], mask[:, ::-1]))
            for k in range(4)
        ]
        same = [i for i, view in enumerate(views) if np.array_equal(view[0], image_turned)]
        assert len(same) == 1 and np.array_equal(views[same[0]][1], mask_turned)
        used.add(same[0])
    assert len(used) == 8
