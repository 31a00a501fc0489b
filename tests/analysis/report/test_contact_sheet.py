import itertools

import cv2
import numpy as np
import pytest

from satsynth.analysis.report import gallery as module
from satsynth.analysis.report.gallery import GAP, color_mask, contact_sheet, gallery

COLORS = np.array([[255, 0, 0], [0, 200, 0], [10, 20, 230]], np.uint8)
NAMES = ("water", "forest", "town")


def pairs_of(number, seed, side=32):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (number, side, side, 3), np.uint8)
    masks = random.choice(np.array([0, 1, 2, 255], np.uint8), (number, side, side))
    return list(zip(images, masks, strict=True))


def places(picture, part):
    """Return where ``part`` stands in ``picture``, as (y, x)."""
    h, w = part.shape[:2]
    squares = cv2.matchTemplate(picture, part, cv2.TM_SQDIFF)
    near = np.argwhere(squares <= squares.min() + 100)
    return [(int(y), int(x)) for y, x in near if np.array_equal(picture[y : y + h, x : x + w], part)]


def test_color_mask_against_loops():
    mask = pairs_of(1, 0)[0][1]
    found = color_mask(mask, COLORS)
    for y, x in itertools.product(range(32), range(32)):
        assert found[y, x].tolist() == ([0, 0, 0] if mask[y, x] == 255 else COLORS[mask[y, x]].tolist())


@pytest.mark.parametrize(("number", "columns"), [(1, 3), (3, 3), (4, 3), (5, 1)])
def test_sheet_contains_every_tile_exactly(number, columns):
    pairs = pairs_of(number, 1)
    sheet = contact_sheet(pairs, COLORS, columns)
    assert sheet.dtype == np.uint8
    used = np.zeros(sheet.shape[:2], bool)
    for i, (image, mask) in enumerate(pairs):
        y, x = (i // columns) * (32 + GAP), (i % columns) * (64 + 3 * GAP)
        for part, left in ((image, x), (color_mask(mask, COLORS), x + 32 + GAP)):
            assert np.array_equal(sheet[y : y + 32, left : left + 32], part)
            used[y : y + 32, left : left + 32] = True
    assert (sheet[~used] == 255).all()


def test_picture_contains_the_tiles_real_on_the_left():
    real, synthetic = pairs_of(4, 2), pairs_of(2, 3)
    picture = gallery(real, synthetic, NAMES, COLORS)
    assert picture.dtype == np.uint8
    columns = {}
    for name, pairs in (("real", real), ("synthetic", synthetic)):
        for image, mask in pairs:
            (y, x), (mask_y, mask_x) = *places(picture, image), *places(picture, color_mask(mask, COLORS))
            assert (mask_y, mask_x) == (y, x + 32 + GAP)
            columns.setdefault(name, []).append(x)
    assert max(columns["real"]) < min(columns["synthetic"])


def legend_texts(monkeypatch):
    """Record every text with the picture that it was written into."""
    written = []
    write = module._text

    def recorded(picture, text, x, y, size=0.6):
        width = write(picture, text, x, y, size)
        written.append((text, x + width, picture.shape[1]))
        return width

    monkeypatch.setattr(module, "_text", recorded)
    return written


@pytest.mark.parametrize("side", [16, 32, 128])
@pytest.mark.parametrize("names", [NAMES, tuple(f"a class with a rather long name, number {i}" for i in range(12))])
def test_no_text_overflows(monkeypatch, side, names):
    written = legend_texts(monkeypatch)
    colors = np.arange(3 * len(names), dtype=np.uint8).reshape(-1, 3)
    pairs = [(image, mask % 3) for image, mask in pairs_of(2, 4, side)]
    gallery(pairs, pairs, names, colors)
    assert [text for text, _, _ in written] == ["real", "synthetic", *names, "ignored"]
    for text, end, width in written:
        assert end <= width, text


def test_legend_shows_every_colour():
    mask = np.full((32, 32), 255, np.uint8)
    grey = np.full((32, 32, 3), 128, np.uint8)
    picture = gallery([(grey, mask)], [(grey, mask)], NAMES, COLORS)
    for color in COLORS:
        # A filled square of 13 x 13 within its frame.
        assert (picture == color).all(-1).sum() >= 13 * 13
