from __future__ import annotations

import json

import pytest

from satsynth.rasters.handles import Window
from satsynth.scenes.image_parts import ImagePart, parts_entry, parts_in, seen_in

WHOLE = (0, 0, 100, 80)


@pytest.mark.parametrize(
    ("window", "shared"),
    [
        (WHOLE, True),
        ((99, 79, 5, 5), True),
        ((-3, -4, 4, 5), True),
        ((10, 10, 2, 2), True),
        ((100, 0, 50, 80), False),
        ((0, 80, 100, 9), False),
        ((-5, 10, 5, 10), False),
    ],
)
def test_parts_of_one_image_are_compared_by_their_pixels(window: Window, shared: bool) -> None:
    here, there = ImagePart("here", "a", WHOLE), ImagePart("there", "a", window)
    assert seen_in([here], [there]) == ({"here": "there"} if shared else {})
    assert seen_in([there], [here]) == ({"there": "here"} if shared else {})
    assert seen_in([here], [ImagePart("there", "b", window)]) == {}


def test_the_first_of_several_is_named_and_scenes_of_one_name_are_told_apart() -> None:
    others = [ImagePart("x", "a", (200, 0, 9, 9)), ImagePart("x", "b", WHOLE), ImagePart("y", "a", WHOLE)]
    assert seen_in([ImagePart("here", "a", WHOLE), ImagePart("far", "c", WHOLE)], others) == {"here": "y"}
    assert seen_in([], others) == seen_in(others, []) == {}


def test_a_manifest_keeps_them_in_an_order_of_their_own() -> None:
    parts = [ImagePart("b", "1", WHOLE), ImagePart("a", "2", WHOLE), ImagePart("a", "1", (1, 2, 3, 4))]
    entry = json.loads(json.dumps(parts_entry(parts)))
    assert entry == parts_entry(reversed(parts))
    assert parts_in(entry) == sorted(parts)
    assert parts_in({"kind": "generator"}) == []
