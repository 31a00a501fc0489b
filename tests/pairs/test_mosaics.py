from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.mosaics import NOWHERE, Mosaic, MosaicWindows
from satsynth.pairs.stream import WindowStream
from satsynth.work.ignore import IGNORE_INDEX

SIDE = 16
Places = list[tuple[int, int]]


def cut(scene: np.ndarray, places: Places) -> np.ndarray:
    return np.stack([scene[top : top + SIDE, left : left + SIDE] for top, left in places])


def grid(height: int, width: int, stride: int = SIDE) -> Places:
    return [(top, left) for top in range(0, height - SIDE + 1, stride) for left in range(0, width - SIDE + 1, stride)]


def tiled(scenes: list[np.ndarray], places: Places) -> tuple[pd.DataFrame, DecodedPairs]:
    """Tiles of some scenes, whose images tell row, column and scene, and whose masks are the scenes."""
    index, images = [], []
    for number, mask in enumerate(scenes):
        rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]].astype(np.uint8)
        images.append(cut(np.stack([rows, columns, np.full_like(rows, number)], -1), places))
        index += [{"scene_id": f"s{number}", "row": top, "col": left} for top, left in places]
    masks = np.concatenate([cut(mask, places) for mask in scenes])
    return pd.DataFrame(index), DecodedPairs(np.concatenate(images), masks)


@pytest.mark.parametrize("stride", [SIDE, 8])
@pytest.mark.parametrize("left_out", [(), (2, 5)])
def test_any_part_is_that_of_the_scene_where_there_are_tiles(stride: int, left_out: tuple[int, ...]) -> None:
    scene = np.random.default_rng(0).integers(0, 4, (48, 64)).astype(np.uint8)
    places = [place for i, place in enumerate(grid(48, 64, stride)) if i not in left_out]
    expected = np.full_like(scene, NOWHERE)
    for top, left in places:
        expected[top : top + SIDE, left : left + SIDE] = scene[top : top + SIDE, left : left + SIDE]
    tops, lefts = np.array(places).T
    # The scene's tiles need not lie one after another.
    order = np.random.default_rng(1).permutation(len(places))
    tiles = np.empty((len(places), SIDE, SIDE), np.uint8)
    tiles[order] = cut(scene, places)
    mosaic = Mosaic(tiles, order, tops, lefts, NOWHERE)
    assert mosaic.shape == scene.shape and mosaic.size <= scene.size
    for top, bottom, left, right in ((0, 48, 0, 64), (3, 47, 9, 11), (15, 17, 15, 49), (30, 31, 60, 64)):
        assert np.array_equal(mosaic[top:bottom, left:right], expected[top:bottom, left:right])


def test_windows_show_one_scene_each_and_image_and_mask_alike() -> None:
    scenes = [np.full((64, 64), value, np.uint8) for value in (0, 1, 2)]
    windows = MosaicWindows(*tiled(scenes, grid(64, 64)))
    random, seen, across = np.random.default_rng(0), set(), 0
    for _ in range(60):
        image, mask = windows.cut(random)
        assert (image.shape, mask.shape) == ((SIDE, SIDE, 3), (SIDE, SIDE))
        scene = int(mask[0, 0])
        assert (mask == scene).all() and (image[..., 2] == scene).all()
        seen.add(scene)
        across += len(np.unique(image[..., :2] // SIDE)) > 1
    # No grid of tiles holds them.
    assert seen == {0, 1, 2} and across > 50


def test_windows_keep_off_what_no_tile_covers() -> None:
    scene = np.zeros((80, 80), np.uint8)
    hole = (32, 32)
    windows = MosaicWindows(*tiled([scene], [place for place in grid(80, 80) if place != hole]))
    random = np.random.default_rng(0)
    for _ in range(60):
        assert (windows.cut(random)[1] == 0).all()


def test_what_no_tile_covers_is_ignored_where_it_cannot_be_avoided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satsynth.pairs.windows.TRIES", 1)
    scene = np.zeros((64, 64), np.uint8)
    windows = MosaicWindows(*tiled([scene], [(0, 0), (48, 48)]))
    masks = np.stack([windows.cut(np.random.default_rng(i))[1] for i in range(20)])
    assert np.isin(masks, [0, IGNORE_INDEX]).all() and (masks == IGNORE_INDEX).any()


def test_scenes_of_one_tile_are_used_where_there_are_no_others() -> None:
    scenes = [np.full((SIDE, SIDE), value, np.uint8) for value in (0, 1)]
    windows = MosaicWindows(*tiled(scenes, [(0, 0)]))
    assert {int(windows.cut(np.random.default_rng(i))[1][0, 0]) for i in range(20)} == {0, 1}


def test_a_stream_of_windows_depends_on_seed_and_position_and_repeats_nothing() -> None:
    index, pairs = tiled([np.random.default_rng(0).integers(0, 4, (64, 64)).astype(np.uint8)], grid(64, 64))
    # A selection of tiles keeps their places.
    chosen = np.arange(len(pairs))[:12]
    windows = MosaicWindows(index.iloc[chosen], pairs.take(chosen))
    stream, again = (WindowStream(windows, 3) for _ in range(2))
    images = [stream[position][0] for position in range(30)]
    assert all(torch.equal(again[position][0], images[position]) for position in (29, 0, 7))
    assert len({image.numpy().tobytes() for image in images}) == 30
    assert not torch.equal(WindowStream(windows, 4)[0][0], images[0])
