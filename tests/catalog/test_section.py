"""Sections that a report shows where they are there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from satsynth.analysis.report.kept import KeptSection
from satsynth.analysis.report.page import Section, report_html
from satsynth.catalog.section import SectionDataset
from satsynth.pipelines.report.nodes import _kept
from satsynth.work.errors import DamagedError

TABLE = pd.DataFrame({"family": ["gan", "é"], "mIoU": [0.51239, np.nan]})
PICTURE = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
KEPT = KeptSection(
    Section("Side by side", ["Read `this`."], [TABLE], images={"Pairs": PICTURE}), {"tiles": "t", "judge": "j"}
)


def test_a_kept_section_is_shown_as_it_was(tmp_path: Path) -> None:
    dataset = SectionDataset(filepath=str(tmp_path / "section.json"), pipeline="rivals")
    assert dataset.exists() and dataset.load() is None, "a report does without"
    dataset.save(KEPT)
    loaded = dataset.load()
    assert loaded is not None and loaded.parents == KEPT.parents
    assert np.array_equal(loaded.section.images["Pairs"], PICTURE)
    assert report_html("made", {}, [loaded.section]) == report_html("made", {}, [KEPT.section])


def test_a_kept_section_has_its_figures(tmp_path: Path) -> None:
    dataset = SectionDataset(filepath=str(tmp_path / "section.json"), pipeline="labels")
    figure = go.Figure().add_scatter(x=np.array([1, 2]), y=np.array([0.5, np.nan]), name="é")
    dataset.save(KeptSection(Section("Labels", figures=[figure]), {}))
    loaded = dataset.load()
    assert loaded is not None
    (shown,) = loaded.section.figures
    assert json.loads(shown.to_json()) == json.loads(figure.to_json())
    # A section that was kept before figures were.
    kept = KEPT.as_json()
    del kept["figures"]
    assert KeptSection.from_json(kept).section.figures == []


@pytest.mark.parametrize("pipeline", ["rivals", "labels"])
@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"sha256": "0", "section": {}}'])
def test_a_damaged_section_is_named(content: str, pipeline: str, tmp_path: Path) -> None:
    (tmp_path / "section.json").write_text(content)
    with pytest.raises(Exception, match=r"section\.json") as failed:
        SectionDataset(filepath=str(tmp_path / "section.json"), pipeline=pipeline).load()
    found = failed.value if isinstance(failed.value, DamagedError) else failed.value.__cause__
    assert isinstance(found, DamagedError) and f"--pipeline={pipeline}" in str(found)


def test_a_report_leaves_out_what_rests_on_other_tiles_or_another_judge(caplog: pytest.LogCaptureFixture) -> None:
    words = ("families were compared on other tiles", "rivals")
    assert _kept(None, lambda parents: False, *words) == [] and not caplog.records
    assert _kept(KEPT, lambda parents: parents == {"tiles": "t", "judge": "j"}, *words) == [KEPT.section]
    assert not caplog.records
    assert _kept(KEPT, lambda parents: parents == {"tiles": "t", "judge": "o"}, *words) == []
    assert "other tiles" in caplog.text and "--pipeline=rivals" in caplog.text
