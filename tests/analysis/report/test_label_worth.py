"""Budgets of labels: what synthetic pairs are worth in labelled scenes, and how the report shows it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from satsynth.analysis.report.figures import label_figure
from satsynth.analysis.report.labels import (
    Budget,
    LabelCurve,
    Labels,
    budget_table,
    fits,
    labels_section,
    rests_on,
    score_table,
    worth_in_words,
    worth_rows,
)
from satsynth.analysis.report.page import report_html
from satsynth.analysis.statistics.summary import summarise
from trainings_made import iou, tables_of

CURVE = LabelCurve.through(np.array([16, 2, 4, 8]), np.array([0.7, 0.4, 0.5, 0.6]))
POINTS = st.tuples(st.integers(1, 500), st.floats(0, 1))
CURVES = st.lists(POINTS, min_size=1, max_size=6, unique_by=lambda point: point[0])


@pytest.mark.parametrize(
    ("own", "change", "worth"),
    [
        # Each doubling is worth 0.1, so half of that is worth a factor of the root of 2.
        (4, 0.05, 4 * 2**0.5),
        (4, 0.2, 16),
        (16, -0.25, 2 * 2**0.5),
        (8, -0.2, 2),
    ],
)
def test_a_made_curve_has_the_known_answer(own: int, change: float, worth: float) -> None:
    assert CURVE.worth(own, change).scenes == pytest.approx(worth) and CURVE.worth(own, change).beyond == ""


def test_beyond_the_measured_ends_nothing_is_extrapolated() -> None:
    assert CURVE.worth(4, 0.201) == Labels(16, "more than") and CURVE.worth(16, 0.001) == Labels(16, "more than")
    assert CURVE.worth(4, -0.101) == Labels(2, "fewer than")
    assert str(CURVE.worth(8, 0.9)) == "more than 16" and str(Labels(13.7)) == "14" and str(Labels(2.83)) == "2.8"


@given(CURVES, st.floats(-1, 1), st.floats(0, 1))
def test_worth_in_labels_keeps_to_the_curve(points: list[tuple[int, float]], change: float, more: float) -> None:
    scenes, miou = (np.array(part) for part in zip(*points, strict=True))
    curve = LabelCurve.through(scenes, miou)
    for own in scenes:
        assert curve.worth(own, 0.0) == Labels(own), "what changes nothing is worth its own scenes"
        found, larger = curve.worth(own, change), curve.worth(own, change + more)
        assert scenes.min() <= found.scenes <= larger.scenes <= scenes.max()
        if change > 0:
            assert found.scenes >= own
        elif change < 0:
            assert found.scenes <= own


def test_values_out_of_order_become_their_mean() -> None:
    curve = LabelCurve.through(np.array([1, 2, 4, 8]), np.array([0.3, 0.5, 0.4, 0.6]))
    assert curve.miou.tolist() == pytest.approx([0.3, 0.45, 0.45, 0.6])
    assert curve.worth(4, 0.0) == Labels(4) and curve.worth(2, 0.0) == Labels(2)
    assert curve.worth(4, 0.075).scenes == pytest.approx(4 * 2**0.5) == curve.worth(2, 0.075).scenes
    assert curve.worth(4, -0.075).scenes == pytest.approx(2**0.5)


# mIoU at R = 0 and at R = 1 by share: a gain, no change, and a gain beyond the largest share.
BUDGETS = {
    Budget(0.1, 3, 12): (0.40, 0.45),
    Budget(0.25, 6, 24): (0.50, 0.50),
    Budget(1.0, 24, 96): (0.60, 0.62),
}


@pytest.fixture(scope="module")
def worth() -> pd.DataFrame:
    summaries = {}
    for budget, (real, both) in BUDGETS.items():
        # Two seeds, so that differences have an interval.
        scores = {(0, 0): real - 0.01, (0, 1): real + 0.01, (1, 0): both - 0.02, (1, 1): both + 0.02}
        parts = [tables_of(scores, network) for network in ("fpn", "unet")]
        runs, confusion = (pd.concat(part, ignore_index=True) for part in zip(*parts, strict=True))
        summaries[budget] = summarise(runs, confusion, iou)
    return budget_table(dict(reversed(summaries.items())))


def test_the_table_has_a_row_for_each_share_network_and_ratio(worth: pd.DataFrame) -> None:
    assert len(worth) == 3 * 2 * 2 and not worth.duplicated(["share", "network", "ratio"]).any()
    assert list(worth.columns[:3]) == ["share", "labelled_scenes", "real_pairs"]
    assert worth["share"].is_monotonic_increasing and set(worth["scenes"]) == {2}
    shown = score_table(worth)
    assert shown["real pairs"].tolist() == worth["real_pairs"].tolist() and set(shown["arm"]) == {"fpn", "unet"}


def test_each_share_is_said_in_a_sentence_with_its_range(worth: pd.DataFrame) -> None:
    rows = [row for row in worth_rows(worth) if row["network"] == "fpn"]
    assert rows[0]["worth"].scenes == pytest.approx((3 * 6) ** 0.5)
    assert rows[1]["worth"].scenes == pytest.approx(6) and rows[2]["worth"] == Labels(24, "more than")
    assert all(row["low"].scenes <= row["worth"].scenes <= row["high"].scenes for row in rows)
    said = worth_in_words(worth)
    assert len(said) == 6
    low, high = rows[0]["low"], rows[0]["high"]
    wanted = "fpn, R = 1: 3 labelled scenes with synthetic pairs (+5.00 points) are worth 4.2 scenes without (95 %: "
    none = "; zero lies inside the interval of the difference, so this is no evidence of a change"
    assert said[0] == f"{wanted}{low} to {high}{none})."
    assert "(+2.00 points) are worth more than 24 scenes without" in said[2]
    proven = worth.assign(difference_low=worth["difference"] - 0.001, difference_high=worth["difference"] + 0.001)
    assert "no evidence" not in worth_in_words(proven)[0]
    uncertain = worth.assign(difference_low=np.nan, difference_high=np.nan)
    assert "are worth 4.2 scenes without (one seed and one test scene do not show" in worth_in_words(uncertain)[0]


def test_one_scene_is_said_as_one_and_a_curve_that_does_not_rise_says_nothing(worth: pd.DataFrame) -> None:
    single = worth[worth["network"] == "fpn"].assign(labelled_scenes=worth["labelled_scenes"] // 3)
    said = worth_in_words(single)
    assert "fpn, R = 1: 1 labelled scene with synthetic pairs (+5.00 points) is worth 1.4 scenes without" in said[0]
    lower = single.assign(difference=-0.5, difference_low=-0.6, difference_high=-0.4)
    assert all("is worth fewer than 1 scene without" in text.replace("are", "is") for text in worth_in_words(lower))
    first, second = worth_in_words(worth.assign(miou=1 - worth["miou"]))
    assert first.startswith("fpn, R = 0: mIoU does not rise") and second.startswith("unet, R = 0: ")
    (only,) = worth_in_words(worth[worth["share"] == 1])
    assert only.startswith("Only one number of labelled scenes was measured, 24:")


def test_a_value_that_came_out_too_low_is_not_read_in_labels(worth: pd.DataFrame) -> None:
    """At 6 scenes real pairs are unlucky, so that the pairs seem to gain 15 points: that is not worth any labels."""
    unlucky = (worth["share"] == 0.25) & (worth["ratio"] == 0)
    gains = (worth["share"] == 0.25) & (worth["ratio"] == 1)
    out_of_order = worth.assign(
        miou=worth["miou"].mask(unlucky, 0.35), difference=worth["difference"].mask(gains, 0.15)
    )
    said = worth_in_words(out_of_order)
    assert said[1].startswith("fpn, R = 1: 6 labelled scenes with synthetic pairs (+15.00 points): not read in labels")
    assert "not read" in said[0] and "more than 24 scenes" in said[2]


def test_a_section_stands_beside_a_report_of_the_same_tiles_and_trainings(worth: pd.DataFrame) -> None:
    parents = rests_on({"0.1": "a", "0.25": "b", "1": "c"}, worth)
    own = worth[worth["share"] == 1]
    assert fits(parents, "c", own) and fits(parents, "c", own[own["network"] == "fpn"])
    assert not fits(parents, "d", own), "other tiles"
    assert not fits(parents, "c", own.assign(miou=own["miou"] + 1e-3)), "the same tiles, other trainings"
    assert not fits(parents, "a", own), "the trainings of another share"
    assert fits(parents, "c", own.assign(network="unet++")), "no training is in both"


def test_an_unfinished_budget_is_said_with_its_number_of_scenes(worth: pd.DataFrame) -> None:
    rising = worth.assign(val_rise=np.where(worth["share"] == 0.25, 0.03, 0.0))
    found = [text for text in labels_section(rising, label_figure(rising)).text if "still improving" in text]
    assert [text.split(":")[0] for text in found] == ["6 labelled scene(s)"] * 2


def test_the_figure_shows_the_table(worth: pd.DataFrame) -> None:
    figure = label_figure(worth)
    json.loads(figure.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert [line.name for line in figure.data] == ["fpn, R = 0", "fpn, R = 1", "unet, R = 0", "unet, R = 1"]
    for line, (_, part) in zip(figure.data, worth.groupby(["network", "ratio"], sort=False), strict=True):
        assert list(line.x) == [3, 6, 24] and list(line.y) == pytest.approx(100 * part["miou"].to_numpy())
        assert list(line.error_y.array) == pytest.approx(100 * part["miou_se"].to_numpy())
        assert np.asarray(line.customdata).tolist() == [[0.1, 12], [0.25, 24], [1.0, 96]]
    assert figure.layout.xaxis.type == "log"
    near = worth[worth["share"] > 0.1]
    assert label_figure(near).layout.xaxis.type == "linear", "a factor of 4"


def test_the_section_is_the_same_from_a_file_and_names_what_it_rests_on(worth: pd.DataFrame, tmp_path: Path) -> None:
    worth.to_csv(tmp_path / "worth.csv", index=False)
    figure = label_figure(worth)
    sections: list[Any] = [labels_section(table, figure) for table in (worth, pd.read_csv(tmp_path / "worth.csv"))]
    assert sections[0].text == sections[1].text
    words = " ".join(sections[0].text)
    assert "one seed does not show" not in words
    note = " ".join(labels_section(worth, figure, {"0.1": "x", "0.5": None, "1": "y"}).text)
    assert "(share: start; 0.1: `x`, 0.5: nothing, 1: `y`)" in note
    for alike, words_of in (
        ({}, ""),
        ({"0.1": "x", "1": "x"}, "All generators started from the weights of `x`."),
        ({"0.1": None, "1": None}, "No generator started from the weights of another one."),
    ):
        text = " ".join(labels_section(worth, figure, alike).text)
        assert "same weights" not in text and words_of in text
        assert ("started from the weights" in text) == bool(words_of)
    assert "one seed does not show" in " ".join(labels_section(worth.assign(seeds=1), figure).text)
    assert "measured at 3, 6, 24 labelled scenes" in words and "interpolated" in words
    assert "The share 1 cannot be worth more labels than were measured" in words
    page = report_html("made", {}, [sections[1]])
    outside = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "labelled scenes" in outside and "http" not in outside
