from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from made_data import CLASSES as SPECS
from made_data import made_pairs, write_store
from satsynth.generation.drawers import Request
from satsynth.pairs.cache import DecodedPairs
from satsynth.pairs.export import LEGEND
from satsynth.pairs.pair import encode_image, encode_mask
from satsynth.rivals.folder import FolderDrawer
from satsynth.rivals.reading import find_pairs
from satsynth.work.errors import DataError

SIDE, NUMBER = 16, 5
MADE = made_pairs(NUMBER, side=SIDE, seed=5)
CLASSES = [{"name": spec["name"], "color": [9, 8, k]} for k, spec in enumerate(SPECS)]
COLORS = np.array([c["color"] for c in CLASSES], np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for number, pair in enumerate(MADE):
        (tmp_path / "images" / f"{number}.png").write_bytes(encode_image(pair.image))
        write_mask(tmp_path, number, pair.mask)
    return tmp_path


def write_mask(folder: Path, number: int, mask: np.ndarray) -> None:
    data = encode_image(mask) if mask.ndim == 3 else encode_mask(mask)
    (folder / "masks" / f"{number}.png").write_bytes(data)


def assert_made(path: Path, encoding: str = "index") -> None:
    found = list(find_pairs(str(path), encoding).read(SIDE, CLASSES))
    assert len(found) == NUMBER
    for (image, mask), pair in zip(found, MADE, strict=True):
        assert np.array_equal(image, pair.image) and np.array_equal(mask, pair.mask)
        assert mask.dtype == np.uint8


def test_masks_of_class_indices(folder: Path) -> None:
    assert_made(folder)


def test_masks_in_the_classes_display_colours(folder: Path) -> None:
    for number, pair in enumerate(MADE):
        # Display colours have none for ignored pixels.
        write_mask(folder, number, COLORS[np.where(pair.mask == 255, 0, pair.mask)])
    found = find_pairs(str(folder), "color").read(SIDE, CLASSES)
    for (_, mask), pair in zip(found, MADE, strict=True):
        assert np.array_equal(mask, np.where(pair.mask == 255, 0, pair.mask))


@pytest.mark.parametrize("colored", [False, True])
def test_a_legend_explains_the_masks_by_the_names_of_classes(folder: Path, colored: bool) -> None:
    raws: dict[int, object] = {0: 7, 1: 40, 2: 3, 255: 90}
    if colored:
        raws = {0: "#0A0B0C", 1: "#FF0000", 2: "#00FF00", 255: "#0000FF"}
    for number, pair in enumerate(MADE):
        if colored:
            table = {k: [int(str(raw)[i : i + 2], 16) for i in (1, 3, 5)] for k, raw in raws.items()}
            mask = np.array([[table[int(v)] for v in row] for row in pair.mask], np.uint8)
        else:
            mask = np.vectorize(raws.get)(pair.mask).astype(np.uint8)
        write_mask(folder, number, mask)
    order = (2, 0, 1)
    classes = [{"name": CLASSES[k]["name"], "raw": raws[k]} for k in order]
    (folder / LEGEND).write_text(json.dumps({"classes": classes, "ignore": [raws[255]]}))
    assert_made(folder)


@pytest.mark.parametrize("form", ["bytes", "struct", "store"])
def test_parquet_files(tmp_path: Path, form: str) -> None:
    if form == "store":
        assert_made(write_store(tmp_path, list(MADE), side=SIDE).path)
        return
    rows: list[dict[str, Any]] = [{"image": encode_image(p.image), "mask": encode_mask(p.mask)} for p in MADE]
    if form == "struct":
        rows = [{key: {"bytes": value, "path": None} for key, value in row.items()} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pairs.parquet")
    assert_made(tmp_path / "pairs.parquet")
    assert_made(tmp_path)


def refused(path: Path | str, *words: str, encoding: str = "index") -> None:
    with pytest.raises(DataError) as error:
        list(find_pairs(str(path), encoding).read(SIDE, CLASSES))
    text = str(error.value)
    assert all(word in text for word in words), text
    assert "What to do: " in text


def test_what_cannot_be_read_is_named(folder: Path, tmp_path: Path) -> None:
    refused("", "`folder.path`", "folder.path=<folder>")
    refused(tmp_path / "nowhere", "holds no pairs", "images/NAME.png")
    write_mask(folder, 1, np.full((SIDE, SIDE), 9, np.uint8))
    refused(folder, "1.png", "holds 9", "0, 1, 2, 255", LEGEND)
    write_mask(folder, 1, np.zeros((SIDE, 2 * SIDE), np.uint8))
    refused(folder, "1.png", "32 x 16", "16 x 16")
    write_mask(folder, 1, np.full((SIDE, SIDE), 0, np.uint8))
    refused(folder, "0.png", encoding="color")
    (folder / "masks" / "4.png").unlink()
    refused(folder, "have no partner", "  - 4")


def test_two_files_of_one_name_are_refused(folder: Path) -> None:
    (folder / "images" / "1.jpg").write_bytes((folder / "images" / "1.png").read_bytes())
    refused(folder, "1.jpg", "the same name")


def test_a_table_without_the_columns_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"picture": [b""]}), tmp_path / "pairs.parquet")
    refused(tmp_path, "has the columns picture")
    (tmp_path / "pairs.parquet").write_bytes(b"no parquet")
    refused(tmp_path / "pairs.parquet", "is no Parquet file")


def test_a_legend_that_lacks_a_class_of_the_data_set_is_refused(folder: Path) -> None:
    (folder / LEGEND).write_text(json.dumps({"classes": [{"name": "swamp", "raw": 1}]}))
    refused(folder, LEGEND, "swamp")
    (folder / LEGEND).write_text("{")
    refused(folder, LEGEND, "does not explain")


def test_pairs_come_in_an_order_of_the_seeds_each_once() -> None:
    pairs = DecodedPairs(np.stack([p.image for p in MADE]), np.stack([p.mask for p in MADE]))
    drawer = FolderDrawer(pairs)
    assert drawer.distinct == NUMBER
    images, _ = drawer.draw(range(NUMBER), Request(0))
    found = [next(i for i, p in enumerate(MADE) if np.array_equal(p.image, image)) for image in images]
    assert sorted(found) == list(range(NUMBER))
    # A batch is filled beyond the last pair.
    assert np.array_equal(drawer.draw(range(NUMBER, NUMBER + 2), Request(0))[0], images[:2])
