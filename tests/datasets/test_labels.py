from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from made_data import COLORS, blobs, describe, paint
from satsynth.datasets.description import DatasetDescription
from satsynth.datasets.labels import UNKNOWN, LabelMap, Unknown, pack_colors, reversed_twins
from satsynth.work.ignore import IGNORE_INDEX


def index_description(ids: list[int], ignore: list[int]) -> DatasetDescription:
    classes = [{"name": f"c{i}", "raw": raw, "color": "#000000"} for i, raw in enumerate(ids)]
    return describe(classes=classes, ignore=ignore, masks={"encoding": "index"})


@given(st.lists(st.integers(0, 65535), min_size=3, max_size=254, unique=True), st.data())
@hypothesis_settings(max_examples=30)
def test_ids_become_indices_and_back_for_any_classes(ids: list[int], data: st.DataObject) -> None:
    classes, ignore = ids[:-1], ids[-1:]
    labels = LabelMap(index_description(classes, ignore))
    seed = data.draw(st.integers(0, 1000))
    wanted = np.random.default_rng(seed).integers(0, len(ids), (5, 7))
    raw = np.array(ids)[wanted]
    indices = labels.indices(raw)
    assert indices.dtype == np.uint8
    np.testing.assert_array_equal(indices, np.where(wanted == len(classes), IGNORE_INDEX, wanted))
    assert labels.unknown_codes(raw) == {}
    unknown = data.draw(st.integers(0, 65535))
    assume(unknown not in ids)
    assert labels.indices(np.array([[unknown]], np.uint16)) == [[UNKNOWN]]


@given(st.integers(0, 1000))
@hypothesis_settings(max_examples=10, deadline=None)
def test_colours_become_indices_and_back(seed: int) -> None:
    mask = blobs(np.random.default_rng(seed), 20, 30)
    np.testing.assert_array_equal(LabelMap(describe()).indices(paint(mask)), mask)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_packed_colours_read_as_they_are_written(color: tuple[int, int, int]) -> None:
    packed = int(pack_colors(np.array([[color]], np.uint8))[0, 0])
    assert f"{packed:06X}" == bytes(color).hex().upper()


def test_colours_in_reverse_channel_order_are_not_mistaken() -> None:
    raw = paint(np.zeros((2, 2), np.uint8))[..., ::-1]
    assert (LabelMap(describe()).indices(raw) == UNKNOWN).all()


def test_unknown_colours_are_reported_with_count_place_and_nearest() -> None:
    mask = np.zeros((6, 8), np.uint8)
    raw = paint(mask)
    raw[2, 5:8] = raw[4, 0] = (130, 41, 246)
    raw[5, 7] = (155, 155, 150)
    labels = LabelMap(describe())
    unknown = labels.unknown_codes(raw)
    assert unknown == {0x8229F6: Unknown(4, 5, 2), 0x9B9B96: Unknown(1, 7, 5)}
    assert labels.in_words(unknown) == (
        "colour #8229F6 in 4 pixel(s), first at x=5, y=2; the nearest known value is colour #8429F6 (land); "
        "colour #9B9B96 in 1 pixel(s), first at x=7, y=5; the nearest known value is colour #9B9B9B (ignore)"
    )
    assert labels.in_words(unknown, limit=1).endswith("(land); 1 more unknown values in 1 pixel(s)")


def test_a_mask_looked_at_in_parts_gives_the_same_report() -> None:
    raw = paint(np.zeros((9, 4), np.uint8))
    raw[1, 3] = raw[7, 0] = (1, 2, 3)
    labels = LabelMap(describe())
    first, second = labels.unknown_codes(raw[:5]), labels.unknown_codes(raw[5:], top=5)
    assert {0x010203: first[0x010203] + second[0x010203]} == labels.unknown_codes(raw)
    assert second[0x010203].y == 7


def test_colours_in_reverse_order_are_named_as_such_only_where_all_are() -> None:
    labels = LabelMap(describe())
    raw = paint(np.array([[0, 1], [1, 255]], np.uint8))[..., ::-1]
    said = labels.reversed_words(labels.unknown_codes(np.ascontiguousarray(raw)))
    # Grey, the colour of the ignored pixel, is the same in reverse.
    assert said is not None
    assert "reverse order (B, G, R) in 3 pixel(s): colour #F62984 is colour #8429F6 (land) reversed" in said
    mixed = raw.copy()
    mixed[0, 0] = (1, 2, 3)
    assert labels.reversed_words(labels.unknown_codes(mixed)) is None
    assert labels.reversed_words({}) is None
    ids = LabelMap(index_description([0, 1], []))
    assert ids.reversed_words(ids.unknown_codes(np.array([[9]], np.uint8))) is None


def test_classes_whose_colours_are_each_others_reversed_are_known() -> None:
    assert reversed_twins(describe()) == []
    assert reversed_twins(index_description([0, 1], [])) == []
    # As in ISPRS Potsdam: every reversed colour is also a colour of the set.
    potsdam = {
        "paved": "#FFFFFF", "building": "#0000FF", "low": "#00FFFF", "tree": "#00FF00", "car": "#FFFF00",
    }  # fmt: skip
    classes = [{"name": name, "raw": color, "color": color} for name, color in potsdam.items()]
    twins = reversed_twins(describe(classes=classes, ignore=["#FF0000"]))
    assert twins == [("building", "ignore"), ("car", "low")]
    labels = LabelMap(describe(classes=classes, ignore=["#FF0000"]))
    turned = np.array([[(255, 0, 0), (255, 255, 0)]], np.uint8)[..., ::-1]
    assert labels.unknown_codes(np.ascontiguousarray(turned)) == {}, "no check of values can find this"


@pytest.mark.parametrize(
    ("dtype", "value"), [(np.uint8, 9), (np.int16, -1), (np.int32, 65536), (np.uint32, 2**32 - 1), (np.int64, 65537)]
)
def test_unknown_ids_never_wrap_around_to_known_ones(dtype: type, value: int) -> None:
    labels = LabelMap(index_description([0, 1, 65535], [255]))
    raw: np.ndarray = np.array([[0, 1], [1, value]]).astype(dtype)
    np.testing.assert_array_equal(labels.indices(raw), [[0, 1], [1, UNKNOWN]])
    assert labels.unknown_codes(raw) == {value: Unknown(1, 1, 1)}
    assert labels.in_words(labels.unknown_codes(raw)).startswith(f"id {value} in 1 pixel(s), first at x=1, y=1")


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.int8, np.uint16, np.int16, np.uint32, np.int64])
def test_ids_of_every_type_read_alike(dtype: type) -> None:
    labels = LabelMap(index_description([1, 0], [100]))
    values = [[0, 1], [1, 1 if dtype is np.bool_ else 100]]
    wanted = [[1, 0], [0, 0 if dtype is np.bool_ else IGNORE_INDEX]]
    np.testing.assert_array_equal(labels.indices(np.array(values).astype(dtype)), wanted)


def test_a_part_of_a_mask_reads_as_a_part() -> None:
    mask = blobs(np.random.default_rng(3), 20, 30)
    part = paint(mask)[3:17, 5:22]
    np.testing.assert_array_equal(LabelMap(describe()).indices(part), mask[3:17, 5:22])


def test_every_known_value_has_a_name_in_the_report() -> None:
    labels = LabelMap(describe())
    for index, name in ((0, "water"), (1, "land"), (2, "building"), (IGNORE_INDEX, "ignore")):
        red, green, blue = COLORS[index]
        near = np.array([[(red, green, blue ^ 1)]], np.uint8)
        assert labels.in_words(labels.unknown_codes(near)).endswith(f"({name})")


def soft_labels(raws: list[Any], largest: float, encoding: str = "index", ignore: tuple[Any, ...] = ()) -> LabelMap:
    classes = [{"name": f"c{raw}", "raw": raw, "color": "#000000"} for raw in raws]
    masks = {"encoding": encoding, "nearest": {"largest_distance": largest}}
    return LabelMap(describe(masks=masks, classes=classes, ignore=list(ignore)))


def test_every_grey_goes_to_the_nearer_end() -> None:
    levels = np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_array_equal(soft_labels([0, 255], 127).indices(levels), (levels > 127).astype(np.uint8))
    assert soft_labels([0, 255], 127).moved(levels) == (254, 127.0)


def test_values_beyond_the_largest_distance_stay_unknown_and_ties_are_ignored() -> None:
    labels = soft_labels([10, 20], 5, ignore=(40,))
    found = labels.indices(np.array([[4, 5, 14, 15, 16, 25, 26, 35, 44]], np.uint8))
    assert found.tolist() == [[UNKNOWN, 0, 0, IGNORE_INDEX, 1, 1, UNKNOWN, IGNORE_INDEX, IGNORE_INDEX]]
    assert set(labels.unknown_codes(np.array([[4, 26]], np.uint8))) == {4, 26}


def test_ids_are_never_rounded_without_being_asked() -> None:
    assert LabelMap(index_description([0, 255], [])).indices(np.array([[1, 254]], np.uint8)).tolist() == [[UNKNOWN] * 2]


def test_colours_go_to_the_nearest_by_brute_force() -> None:
    rng = np.random.default_rng(4)
    colors = np.array([(0, 0, 0), (255, 0, 0), (0, 200, 0), (90, 90, 255)])
    labels = soft_labels(["#{:02X}{:02X}{:02X}".format(*color) for color in colors], 120, "color")
    raw = rng.integers(0, 256, (60, 70, 3)).astype(np.uint8)
    apart = np.sqrt(((raw[:, :, None].astype(int) - colors) ** 2).sum(-1))
    wanted = np.where(apart.min(-1) <= 120, apart.argmin(-1), UNKNOWN)
    tied = (np.sort(apart, axis=-1)[..., 0] == np.sort(apart, axis=-1)[..., 1]) & (wanted != UNKNOWN)
    found = labels.indices(raw)
    np.testing.assert_array_equal(found[~tied], wanted[~tied])
    assert (found[tied] == IGNORE_INDEX).all()
    pixels, farthest = labels.moved(raw)
    near = (apart.min(-1) <= 120) & (apart.min(-1) > 0)
    assert pixels == near.sum() and farthest == pytest.approx(apart.min(-1)[near].max())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int64])
def test_ids_of_every_type_move_alike(dtype: type) -> None:
    labels = soft_labels([0, 100], 40)
    assert labels.indices(np.array([[3, 97, 100, 45]]).astype(dtype)).tolist() == [[0, 1, 1, UNKNOWN]]
