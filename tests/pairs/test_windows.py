from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from satsynth.pairs.windows import Place, Windows, cut_window, draw_place
from satsynth.work.ignore import IGNORE_INDEX

SIDE = 32
SYMMETRIES = [(angle, mirrored) for angle in range(4) for mirrored in (False, True)]


def scene(height=90, width=120, seed=0):
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (height, width, 3), np.uint8)
    return image, image[..., 0] // 64


@pytest.mark.parametrize(("quarters", "mirrored"), SYMMETRIES)
def test_upright_windows_are_the_symmetries_of_a_tile(quarters, mirrored):
    image, mask = scene()
    place = Place(20 + SIDE / 2, 10 + SIDE / 2, quarters * pi / 2, 1.0, mirrored)
    found = cut_window(image, mask, place, SIDE)
    for whole, part in zip((image, mask), found, strict=True):
        tile = whole[10 : 10 + SIDE, 20 : 20 + SIDE]
        # A turn of the window to one side turns what it shows to the other.
        turned = np.rot90(tile, quarters)
        assert np.array_equal(part, turned[:, ::-1] if mirrored else turned)


@pytest.mark.parametrize("zoom", [0.5, 3.0])
def test_zoom_is_pixels_of_the_scene_a_pixel(zoom):
    mask = (np.add.outer(np.arange(128), np.arange(128)) // 16 % 2).astype(np.uint8)
    _, found = cut_window(None, mask, Place(64, 64, 0.0, zoom, False), SIDE)
    centres = 64 + (np.arange(SIDE) - (SIDE - 1) / 2) * zoom
    columns = np.floor(centres).astype(int)
    assert np.mean(found == mask[np.ix_(columns, columns)]) > 0.97


def test_image_and_mask_are_cut_at_the_same_place():
    """The mask is a function of the image, also after a turn: where the image is flat, both agree."""
    image = np.zeros((90, 120, 3), np.uint8)
    image[20:60, 30:80] = 200
    mask = (image[..., 0] > 100).astype(np.uint8)
    windows = Windows([mask], [image], SIDE)
    for seed in range(20):
        cut, labels = windows.cut(np.random.default_rng(seed))
        # Along an edge the image is interpolated.
        assert np.mean((cut[..., 0] > 100) == labels) > 0.97


@given(
    height=st.integers(SIDE, 200),
    width=st.integers(SIDE, 200),
    seed=st.integers(0, 10_000),
    zooms=st.tuples(st.floats(0.5, 1.0), st.floats(1.0, 3.0)),
)
def test_windows_lie_within_their_scene(height, width, seed, zooms):
    place = draw_place(np.random.default_rng(seed), height, width, SIDE, zooms)
    corners = np.array([[-0.5, -0.5, 1], [SIDE - 0.5, -0.5, 1], [-0.5, SIDE - 0.5, 1], [SIDE - 0.5, SIDE - 0.5, 1]])
    x, y = place.matrix(SIDE) @ corners.T
    assert x.min() >= -0.5 - 1e-6
    assert y.min() >= -0.5 - 1e-6
    assert x.max() <= width - 0.5 + 1e-6
    assert y.max() <= height - 0.5 + 1e-6
    assert place.zoom <= zooms[1] + 1e-9


def test_windows_come_from_their_scenes_by_area():
    small, large = np.full((40, 40), 1, np.uint8), np.full((80, 80), 2, np.uint8)
    windows = Windows([small, large], None, SIDE)
    found = np.array([windows.cut(np.random.default_rng([3, i]))[1][0, 0] for i in range(500)])
    assert set(found) == {1, 2}
    assert np.mean(found == 2) == pytest.approx(0.8, abs=0.06)


def test_a_window_depends_on_its_seed_only():
    image, mask = scene()
    windows = Windows([mask], [image], SIDE)
    first, again, other = (windows.cut(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_windows_of_mostly_ignored_pixels_are_drawn_again():
    mask = np.full((64, 200), IGNORE_INDEX, np.uint8)
    mask[:, :100] = 1
    windows = Windows([mask], None, SIDE)
    for seed in range(50):
        found = windows.cut(np.random.default_rng(seed))[1]
        assert (found == IGNORE_INDEX).mean() <= 0.5
