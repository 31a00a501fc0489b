from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from made_data import MadeData, make_data
from satsynth.pipelines.ingestion import nodes
from satsynth.pipelines.steps import RunSettings
from satsynth.scenes.settings import IngestionSettings
from satsynth.training.settings import ComputeSettings


def ingested(made: MadeData, project: Path, on_bad_scene: str = "error") -> tuple[pd.DataFrame, pd.DataFrame]:
    run = RunSettings(project=str(project), raw=str(made.raw))
    ingestion = IngestionSettings.model_validate({"on_bad_scene": on_bad_scene})
    return nodes.find_and_check(made.description, ingestion, ComputeSettings(workers=1), run)


def splits(table: pd.DataFrame) -> dict[str, str]:
    return dict(zip(table["scene_id"], table["split"], strict=True))


def test_a_scene_that_moves_to_another_list_moves_to_that_split_though_no_pixel_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_data(tmp_path / "raw", splits={"lists": {"val": "val.txt", "test": "test.txt"}})
    (made.raw / "val.txt").write_text("north/a\nwest/b\n")
    (made.raw / "test.txt").write_text("west/a\n")
    before = splits(ingested(made, tmp_path)[0])
    assert before["west/b"] == "val" and before["east/a"] == "train"
    (made.raw / "val.txt").write_text("north/a\n")
    (made.raw / "test.txt").write_text("west/a\nwest/b\n")
    # What was checked is not checked again.
    monkeypatch.setattr(nodes, "unusable_files", None)
    assert splits(ingested(made, tmp_path)[0]) == {**before, "west/b": "test"}


def test_what_was_left_out_stays_out_when_nothing_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_data(tmp_path / "raw")
    mask = made.raw / "north" / "masks" / "b.png"
    mask.write_bytes(mask.read_bytes()[:-40])
    first, bad = ingested(made, tmp_path, "skip")
    assert set(first["scene_id"]) == set(made.masks) - {"north/b"} and bad["scene"].tolist() == ["north/b"]
    monkeypatch.setattr(nodes, "unusable_files", None)
    again, left_out = ingested(made, tmp_path, "skip")
    pd.testing.assert_frame_equal(again, first)
    pd.testing.assert_frame_equal(left_out, bad)
