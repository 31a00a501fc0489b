from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from made_data import CLASSES, settings
from satsynth.datasets.description import MAX_CLASSES, ClassSpec, DatasetDescription

CHANNEL = st.integers(0, 255)
LAYOUT = settings()["layout"]
BLOCKS = {"kind": "blocks", "image": "a.tif", "mask": "m.tif", "block": 16, "rows": [0, 1]}
INDEX_CLASSES = [{**spec, "raw": number} for number, spec in enumerate(CLASSES)]


def far_class(raw: int) -> list[dict[str, Any]]:
    return [*INDEX_CLASSES[:-1], {**INDEX_CLASSES[-1], "raw": raw}]


def load(path: Path) -> DatasetDescription:
    described = yaml.safe_load(path.read_text(encoding="utf-8"))["datasets"]
    assert list(described) == [path.stem.removeprefix("parameters_dataset_")]
    return DatasetDescription.model_validate(next(iter(described.values())))


def test_every_shipped_description_is_valid_and_bears_its_files_name(project: Path) -> None:
    files = sorted((project / "conf" / "base").glob("parameters_dataset_*.yml"))
    assert {"parameters_dataset_bluemarble.yml", "parameters_dataset_dubai.yml"} <= {file.name for file in files}
    for file in files:
        assert load(file).name == file.stem.removeprefix("parameters_dataset_")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": CLASSES[:1]}, "at least 2 are needed"),
        ({"classes": [*CLASSES, {"name": "pool", "raw": "#e2a929", "color": "#000000"}]}, "raw value .* given twice"),
        ({"ignore": ["#E2A929"]}, "raw value .* given twice"),
        ({"classes": [*CLASSES, {"name": "land", "raw": "#000000", "color": "#000000"}]}, "name land is given twice"),
        ({"masks": {"encoding": "index"}}, "requires ids .* found"),
        ({"classes": INDEX_CLASSES}, "requires colours .* found 0, 1, 2"),
        ({"ignore": [255]}, "requires colours .* found 255"),
        ({"masks": {"encoding": "rgb"}}, "'index', 'color' or 'attribute'"),
        ({"colour": "#000000"}, r"colour\s+Extra inputs are not permitted"),
        (
            {"layout": {**LAYOUT, "mask": "{group}/masks/{nam}.png"}},
            "`mask` uses .'nam'.*has only the groups .'group', 'name'",
        ),
        ({"layout": {**LAYOUT, "group": "{region}"}}, "`group` uses .'region'"),
        ({"layout": {**LAYOUT, "pattern": "(images"}}, "not a valid regular expression"),
        ({"layout": {**LAYOUT, "kind": "database"}}, "'files', 'blocks'"),
        ({"classes": [*CLASSES, {"name": "x", "raw": "#12345", "color": "#000000"}]}, "'#12345' is not a colour"),
        ({"classes": [*CLASSES, {"name": "x", "raw": "red", "color": "#000000"}]}, "'red' is not a colour"),
        ({"classes": [*CLASSES, {"name": "x", "raw": [0, 0, 256], "color": "#000000"}]}, "less than or equal to 255"),
        ({"classes": [*CLASSES, {"name": "x", "raw": [0, 0], "color": "#000000"}]}, "Field required"),
        ({"masks": {"encoding": "index"}, "classes": far_class(65536)}, "less than or equal to 65535"),
        ({"masks": {"encoding": "index"}, "classes": far_class(-1)}, "greater than or equal to 0"),
        ({"masks": {"encoding": "index"}, "ignore": [2**63], "classes": INDEX_CLASSES}, "less than or equal to"),
        ({"masks": {"encoding": "index", "transparent": "white"}}, "'ignore' or 'keep'"),
        ({"splits": {"val": ["east"]}}, r"splits\s.*`test` is empty"),
        ({"splits": {"val": [], "test": ["west"]}}, r"splits\s.*`val` is empty; .*`lists.val`"),
        ({"splits": {"by": "tile", "val": ["a"], "test": ["b"]}}, "'group' or 'scene'"),
        ({"layout": {**BLOCKS, "margin": 8}}, "`margin: 8` leaves nothing of a block of 16 pixels"),
        ({"images": {"bands": [1, 2]}}, "bands"),
        ({"images": {"bands": [1, 2, 3, 4, 5]}}, "bands"),
        ({"images": {"bands": [0, 1, 2]}}, "greater than or equal to 1"),
        ({"images": {"scaling": {"low": 0, "high": [1, 2, 0]}}}, "`low` must be below `high`"),
        ({"scale": 0}, "greater than 0"),
        ({"scale": 2}, "less than or equal to 1"),
        ({"tiling": {"keep": {"max_ignore": 1.5}}}, "max_ignore"),
    ],
)
def test_a_wrong_description_is_refused_and_says_where(changes: dict[str, Any], said: str) -> None:
    DatasetDescription.model_validate(settings())
    with pytest.raises(ValidationError, match=f"(?s){said}"):
        DatasetDescription.model_validate(settings(**changes))


def test_a_split_may_be_named_only_by_a_list() -> None:
    rule = DatasetDescription.model_validate(settings(splits={"val": ["a"], "lists": {"test": "val.txt"}})).splits
    assert rule.lists.named() == {"test": "val.txt"}
    assert rule.test == ()


def test_a_missing_field_is_named() -> None:
    without = settings()
    del without["obtain"]
    with pytest.raises(ValidationError, match=r"obtain\s+Field required"):
        DatasetDescription.model_validate(without)


def test_as_many_classes_as_a_mask_can_hold_are_allowed_and_no_more() -> None:
    many = [{"name": f"c{i}", "raw": i, "color": "#000000"} for i in range(MAX_CLASSES + 1)]
    index = {"masks": {"encoding": "index"}, "ignore": []}
    allowed = DatasetDescription.model_validate(settings(classes=many[:-1], **index))
    assert len(allowed.class_names) == MAX_CLASSES == 254
    with pytest.raises(ValidationError, match="at most 254"):
        DatasetDescription.model_validate(settings(classes=many, **index))


@given(st.tuples(CHANNEL, CHANNEL, CHANNEL))
def test_every_way_to_write_a_colour_means_the_same(color: tuple[int, int, int]) -> None:
    digits = "{:02X}{:02x}{:02X}".format(*color)
    for written in (f"#{digits}", digits, list(color), color):
        spec = ClassSpec.model_validate({"name": "x", "raw": written, "color": written})
        assert spec.color == spec.raw == color


def test_a_description_survives_a_round_trip_through_json() -> None:
    described = DatasetDescription.model_validate(settings())
    assert DatasetDescription.model_validate(described.model_dump(mode="json")) == described


def test_a_description_cannot_be_changed() -> None:
    described = DatasetDescription.model_validate(settings())
    with pytest.raises(ValidationError, match="frozen"):
        described.scale = 0.5
