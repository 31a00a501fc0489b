"""The paper's Tables 1a and 1b from what was measured of several families."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from satsynth.analysis.measures.table import Row, row_of, rows_table, values_of
from satsynth.analysis.report.gallery import GAP, color_mask, contact_sheet, side_by_side
from satsynth.analysis.report.generators import (
    REAL,
    beside_table,
    comparison_rows,
    comparison_table,
    generators_section,
    real_rows,
    worth_table,
)
from satsynth.analysis.statistics.summary import summarise
from trainings_made import iou, tables_of

FID = {"diffusion": 30.0, "gan": 40.0}
SCORES = {"miou": 0.5, "accuracy": 0.7}
ALIGNMENT: dict[str, Any] = {"synthetic": {"miou": None, "accuracy": 0.25}, "val": SCORES}
COPIES = {space: {"suspicious_share": share} for space, share in (("pixels", 0.5), ("features", 0.0))}


def fidelity(value: float) -> pd.DataFrame:
    rows = [
        Row("synthetic", "fid", value, value - 1, value + 1),
        Row("val", "fid", 9.0),
        Row("train_halves", "fid", 3.0),
        *(Row(name, "images", number) for name, number in (("train", 9), ("val", 4), ("synthetic", 7))),
        *(Row("train_halves", f"images.{half}_half", 4) for half in ("first", "second")),
    ]
    return rows_table(rows)


def comparison(dataset: str, side: int = 128) -> pd.DataFrame:
    rows = []
    for name, value in FID.items():
        work = {
            "layouts.real": float(name == "gan"),
            "training.images": 640,
            "training.seconds": 12.5,
            "drawing.seconds": None,
        }
        rows += comparison_rows(name, fidelity(value), ALIGNMENT, COPIES, work)
    return comparison_table([*rows, *real_rows(fidelity(30), ALIGNMENT)], dataset, side)


def summaries() -> dict[str, pd.DataFrame]:
    made = {}
    for number, name in enumerate(FID):
        runs, confusion = tables_of({(0, 0): 0.4, (0, 1): 0.42, (1, 0): 0.5, (1, 1): 0.53 + 0.1 * number})
        made[name] = summarise(runs, confusion, iou)
    return made


def test_each_family_has_all_that_is_known_of_its_pairs_and_real_sets_stand_once() -> None:
    table = comparison("isaid")
    assert values_of(table, "fid") == {**FID, "val": 9.0, "train_halves": 3.0}
    assert row_of(table, "fid", "gan") == Row("gan", "fid", 40.0, 39.0, 41.0)
    assert not table.duplicated(["set", "measure"]).any()
    assert values_of(table, "copies.pixels") == dict.fromkeys(FID, 0.5)
    assert values_of(table, "alignment.accuracy") == {**dict.fromkeys(FID, 0.25), "val": 0.7}
    assert values_of(table, "training.images") == dict.fromkeys(FID, 640)
    assert all(np.isnan(value) for value in values_of(table, "drawing.seconds").values())


@pytest.mark.parametrize(
    ("dataset", "side", "known"),
    [("isaid", 128, {"diffusion": 8.66, "gan": 10.21}), ("isaid", 256, {}), ("dubai", 128, {})],
)
def test_the_papers_distances_stand_where_data_set_and_tile_size_are_the_same(
    dataset: str, side: int, known: dict[str, float]
) -> None:
    table = comparison(dataset, side)
    found = table.dropna(subset=["paper"])
    assert dict(zip(found["set"], found["paper"], strict=True)) == known and set(found["measure"]) <= {"fid"}
    assert ("paper's FID" in beside_table(table)) == bool(known)


def test_worth_has_real_pairs_once_and_the_papers_scores_of_joint_diffusion_only() -> None:
    found = summaries()
    worth = worth_table(found, "isaid", {"fpn": ("fpn", "resnet50")}, 128)
    assert worth["family"].tolist() == [REAL, *FID] and worth["ratio"].tolist() == [0, 1, 1]
    for name in FID:
        own = found[name][found[name]["ratio"] == 1].iloc[0]
        row = worth[worth["family"] == name].iloc[0]
        for column in ("miou", "difference", "difference_low", "difference_high"):
            assert row[column] == pytest.approx(own[column], nan_ok=True)
    papers = worth.set_index("family")["paper_miou"]
    assert papers["diffusion"] == 0.5213 and papers[[REAL, "gan"]].isna().all()


def test_the_section_shows_scores_of_every_family_and_survives_a_file(tmp_path: Any) -> None:
    worth = worth_table(summaries(), "isaid", {"fpn": ("fpn", "resnet50")}, 128)
    shown = []
    for number, (first, second) in enumerate(((comparison("isaid"), worth), (comparison("dubai"), worth))):
        files = [tmp_path / f"{name}{number}.csv" for name in ("comparison", "worth")]
        for table, file in zip((first, second), files, strict=True):
            table.to_csv(file, index=False)
        read = [pd.read_csv(file) for file in files]
        shown.append(generators_section(read[0], read[1], np.zeros((4, 4, 3), np.uint8)))
        assert shown[-1].text == generators_section(first, second, np.zeros((4, 4, 3), np.uint8)).text
    single = generators_section(comparison("isaid"), worth.assign(seeds=1), np.zeros((4, 4, 3), np.uint8))
    assert [any("one seed does not show" in text for text in found.text) for found in (shown[0], single)] == [
        False,
        True,
    ]
    scores, classes, measures, beside = shown[0].tables
    assert scores["arm"].tolist() == ["real pairs: fpn", "diffusion: fpn", "gan: fpn"]
    assert scores["paper, mIoU"].iloc[1] == pytest.approx(52.13)
    assert classes["arm"].tolist() == scores["arm"].tolist() and len(classes.columns) > 2
    assert measures.columns[1:4].str.split("\n").str[0].tolist() == ["diffusion", "gan", "val"]
    assert beside["pairs of"].tolist() == ["diffusion", "gan", "val"]
    assert any(text.startswith("Masks of `gan` were cut anew") for text in shown[0].text)
    (ranked,) = [text for text in shown[0].text if text.startswith("fpn, real and synthetic pairs, R = 1: ")]
    best, second = ranked.split(", by ")[1].split("], ")
    assert best.startswith("gan +") and second.startswith("diffusion +"), "the best first"


def test_sets_stand_from_left_to_right() -> None:
    random, colors = np.random.default_rng(0), np.array([[255, 0, 0], [0, 200, 0]], np.uint8)
    sets = {
        name: [(random.integers(0, 256, (32, 32, 3), np.uint8), random.integers(0, 2, (32, 32), np.uint8))] * number
        for number, name in enumerate("abc", 1)
    }
    picture = side_by_side(sets, ("water", "town"), colors, columns=1)
    wide = contact_sheet(sets["a"], colors, 1).shape[1]
    for number, pairs in enumerate(sets.values()):
        image, mask = pairs[0]
        left = 8 + number * (wide + 6 * GAP)
        strip = picture[8 + 30 : 8 + 30 + 32]
        assert np.array_equal(strip[:, left : left + 32], image)
        assert np.array_equal(strip[:, left + 32 + GAP : left + 64 + GAP], color_mask(mask, colors))
