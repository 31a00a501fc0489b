from __future__ import annotations

import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from markupsafe import escape

from satsynth.analysis.measures.table import Row, rows_table
from satsynth.analysis.report.page import Section, printable, report_html
from satsynth.analysis.report.sections import held_out_notes, label_notes, segmentation, start_notes
from satsynth.analysis.statistics.summary import gains_by_class, summarise
from satsynth.analysis.statistics.verdict import verdict
from trainings_made import HELPED, iou, tables_of

FIDELITY = rows_table(
    [
        Row("val", "images", 150),
        Row("synthetic", "kernel_distance", 0.02, 0.015, 0.025),
        Row("val", "kernel_distance", 0.03, 0.028, 0.032),
        Row("train_halves", "kernel_distance", 0.001),
        Row("synthetic", "class_divergence", 0.004),
        Row("val", "class_divergence", 0.02),
    ]
)
ALIGNMENT = {
    "synthetic": {"miou": 0.5, "iou": {"a": 0.8, "b": 0.2, "c": None}},
    "val": {"miou": 0.6, "iou": {"a": 0.7, "b": 0.5, "c": 0.4}},
}
MEMORISATION = {
    "pixels": {"suspicious_share": 0.0, "suspicious_below": 0.1},
    "features": {"suspicious_share": 0.2, "suspicious_below": 0.3},
}


@pytest.fixture
def answer() -> dict[str, list[str]]:
    runs, confusion = tables_of(HELPED)
    gains = gains_by_class(runs, confusion, iou, {"a": 0.7, "b": 0.3, "c": 0.0})
    # One class gains, one loses, one is not there.
    gains.loc[gains["class"] == "b", ["difference", "difference_low", "difference_high"]] = -0.05, -0.08, -0.02
    return verdict(summarise(runs, confusion, iou), gains, FIDELITY, ALIGNMENT, MEMORISATION)


def test_features_that_never_saw_the_data_lead_the_verdict() -> None:
    rows = [
        Row("synthetic", "imagenet_distance", 0.22, 0.2, 0.24),
        Row("val", "imagenet_distance", 0.035, 0.03, 0.04),
        Row("train_halves", "imagenet_distance", 0.0008),
        Row("synthetic", "two_sample_accuracy", 0.998),
        Row("val", "two_sample_accuracy", 0.93),
    ]
    runs, confusion = tables_of(HELPED)
    gains = gains_by_class(runs, confusion, iou, {"a": 0.7, "b": 0.3, "c": 0.0})
    table = pd.concat([FIDELITY, rows_table(rows)], ignore_index=True)
    found = verdict(summarise(runs, confusion, iou), gains, table, ALIGNMENT, MEMORISATION)["How real are they?"]
    first, judge, *_ = found
    assert "In features of an ImageNet network that never saw the data" in first
    assert "0.2200 [0.2000, 0.2400] from the training images" in first and "farther than real images of val" in first
    assert "accuracy of 100%, and real images of val scenes with 93%" in first
    assert judge.startswith("In the judge's features") and len(found) == 4


def test_the_verdict_answers_each_question(answer: dict[str, list[str]]) -> None:
    assert "zero lies outside" in answer["Did they help?"][0]
    assert answer["For which classes?"] == [
        "fpn, R = 1: a gains 10.0 points, b loses 5.0 points.",
        "Of 20 classes without any change, one is expected to be named by chance.",
    ]
    distance, shares, agreement = answer["How real are they?"]
    assert "0.0200 [0.0150, 0.0250] from the training images" in distance
    assert "closer than real images of val scenes at 0.0300 [0.0280, 0.0320]" in distance
    assert "two halves of the training scenes are 0.0010 apart" in distance
    assert "0.0040 bit" in shares and "those of val by 0.0200, over tiles of the kind that train has" in shares
    # Of the classes that both have: (0.8 + 0.2) / 2 against (0.7 + 0.5) / 2.
    assert "Over a, b," in agreement and "0.500" in agreement and "0.600" in agreement
    assert "less than half as well for b" in agreement and "No synthetic mask has c." in agreement
    pixels, features = answer["Are they copies?"]
    assert "0.0%" in pixels and "99 % of 150 real held-out images" in pixels and "no sign of copying" in pixels
    assert "20.0%" in features and "a sign of copying" in features


def test_distances_whose_intervals_reach_each_other_are_not_called_closer(answer: dict[str, list[str]]) -> None:
    near = FIDELITY.copy()
    near.loc[near["set"].eq("synthetic") & near["measure"].eq("kernel_distance"), "high"] = 0.031
    runs, confusion = tables_of(HELPED)
    gains = gains_by_class(runs, confusion, iou, {"a": 0.7, "b": 0.3, "c": 0.0})
    found = verdict(summarise(runs, confusion, iou), gains, near, ALIGNMENT, MEMORISATION)["How real are they?"][0]
    assert "not clearly closer or farther than real images of val scenes" in found


def test_classes_are_named_at_each_ratio() -> None:
    runs, confusion = tables_of({**HELPED, **{(3, seed): HELPED[0, seed] for seed in range(3)}})
    gains = gains_by_class(runs, confusion, iou, {"a": 0.7, "b": 0.3, "c": 0.0})
    sentences = verdict(summarise(runs, confusion, iou), gains, FIDELITY, ALIGNMENT, MEMORISATION)["For which classes?"]
    assert sentences[:2] == [
        "fpn, R = 1: a gains 10.0 points, b gains 10.0 points.",
        "fpn, R = 3: no class has a 95 % interval that excludes zero.",
    ]


def test_where_held_out_images_equal_training_images_copies_cannot_be_told() -> None:
    runs, confusion = tables_of(HELPED)
    gains = gains_by_class(runs, confusion, iou, {"a": 0.7, "b": 0.3, "c": 0.0})
    flat = {**MEMORISATION, "pixels": {"suspicious_share": 0.0, "suspicious_below": 0.0}}
    pixels, features = verdict(summarise(runs, confusion, iou), gains, FIDELITY, ALIGNMENT, flat)["Are they copies?"]
    assert "copies cannot be distinguished from chance" in pixels and "no sign" not in pixels
    assert "a sign of copying" in features


def test_the_page_needs_no_network_and_holds_everything(answer: dict[str, list[str]]) -> None:
    table = pd.DataFrame({"class": ["a", "<b>"], "IoU": [0.123456, np.nan], "better": [True, False]})
    picture = np.full((8, 8, 3), 200, np.uint8)
    sections = [
        Section("Numbers & more", ["Read `a < b` so."], [table], [go.Figure(go.Bar(y=[3]))], {"Some pairs": picture})
    ]
    page = report_html("Made scenes", answer, sections)
    for sentences in answer.values():
        for sentence in sentences:
            assert str(escape(sentence)) in page
    assert "Read <code>a &lt; b</code> so." in page
    assert "Numbers &amp; more" in page and "<td>&lt;b&gt;</td>" in page and "<td>0.1235</td>" in page
    assert "<td>–</td>" in page and "<td>yes</td>" in page
    assert page.count("data:image/jpeg;base64,") == 1 and "Plotly.newPlot" in page
    # Apart from what is inside scripts, nothing points anywhere.
    outside = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(src|href)=[\"'](?!data:)", outside) and "http" not in outside
    assert not re.search(r"<script[^>]+src", page)


def test_the_page_says_how_many_training_scenes_are_labelled() -> None:
    assert label_notes(None) == []
    labels = {"used": ["a", "b"], "unused": ["c"] * 6, "rest": "drop"}
    (note,) = label_notes(labels)
    assert "the masks of 2 of 8 training scenes are used (25%)" in note and "the others take no part" in note
    (note,) = label_notes({**labels, "rest": "unlabelled"})
    assert "generators may learn from the images of the others" in note


def test_the_page_says_what_the_generator_started_from() -> None:
    assert start_notes(None) == ["The generator did not start from the weights of another one."]
    (note,) = start_notes("made")
    assert "`made`" in note


def test_the_page_says_of_which_held_out_scenes_the_generator_has_seen_images() -> None:
    assert held_out_notes([]) == []
    (note,) = held_out_notes([f"west/{number}" for number in range(7)])
    assert "images of 7 scene(s) of val or test" in note and "west/4 and others" in note and "west/5" not in note
    runs, confusion = tables_of(HELPED)
    summary = summarise(runs, confusion, iou)
    for scenes in ([], ["west/a"]):
        (scores, *_) = segmentation(
            summary,
            pd.DataFrame({"network": ["fpn"]}),
            pd.DataFrame({"augmentation": ["flips"]}),
            go.Figure(),
            "x",
            held_out_notes(scenes),
        )
        assert any("west/a" in text for text in scores.text) == bool(scenes)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (np.float64(0.000123456), "0.0001235"), (7, "7"), (True, "yes"), ("x", "x")],
)
def test_cells(value: object, text: str) -> None:
    assert printable(value) == text
