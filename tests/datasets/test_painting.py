from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from made_data import blobs, describe
from satsynth.datasets.labels import LabelMap
from satsynth.datasets.painting import Painter
from satsynth.work.ignore import IGNORE_INDEX


@given(st.lists(st.integers(0, 65535), min_size=2, max_size=20, unique=True), st.booleans(), st.integers(0, 99))
@hypothesis_settings(max_examples=30)
def test_what_is_painted_reads_as_it_was_for_any_ids(ids: list[int], with_ignore: bool, seed: int) -> None:
    classes = [{"name": f"c{i}", "raw": raw, "color": "#000000"} for i, raw in enumerate(ids)]
    ignore = [next(value for value in range(65536) if value not in ids)] if with_ignore else []
    description = describe(classes=classes, ignore=ignore, masks={"encoding": "index"})
    mask = blobs(np.random.default_rng(seed), 20, 30, classes=len(ids))
    painter = Painter(description)
    raw = painter.paint(mask)
    assert raw.dtype == (np.uint8 if max(*ids, painter.ignore) <= 255 else np.uint16)
    known = mask != IGNORE_INDEX
    labels = LabelMap(description)
    np.testing.assert_array_equal(labels.indices(raw)[known], mask[known])
    assert (raw[~known] == painter.ignore).all() and painter.ignore not in ids
    if with_ignore:
        np.testing.assert_array_equal(labels.indices(raw), mask)


def test_colours_read_as_they_were() -> None:
    mask = blobs(np.random.default_rng(0), 20, 30)
    np.testing.assert_array_equal(LabelMap(describe()).indices(Painter(describe()).paint(mask)), mask)


def test_labels_that_were_polygons_are_painted_as_class_indices() -> None:
    classes = [{"name": name, "raw": f"is {name}", "color": "#102030"} for name in ("a", "b", "c")]
    masks = {"encoding": "attribute", "reader": "vector", "attribute": "kind"}
    painter = Painter(describe(classes=classes, ignore=["unsure"], masks=masks))
    mask = blobs(np.random.default_rng(0), 20, 30)
    np.testing.assert_array_equal(painter.paint(mask), mask)
    assert [entry["raw"] for entry in painter.legend()["classes"]] == [0, 1, 2]
    assert painter.legend()["ignore"] == [255]


@pytest.mark.parametrize("raws", [[0, 255], ["#000000", "#010101"]])
def test_without_an_ignored_value_a_free_one_is_used_and_reported(raws: list[int | str]) -> None:
    classes = [{"name": f"c{i}", "raw": raw, "color": "#102030"} for i, raw in enumerate(raws)]
    encoding = "index" if isinstance(raws[0], int) else "color"
    legend = Painter(describe(classes=classes, ignore=[], masks={"encoding": encoding})).legend()
    assert [entry["raw"] for entry in legend["classes"]] == raws
    assert legend["ignore"] == ([254] if encoding == "index" else ["#020202"])
    assert legend["classes"][0]["color"] == "#102030"
