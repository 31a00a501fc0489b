from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browsing import served_mlflow
from projects import Project, clean_environment
from views import compare_in_mlflow, tracked_trainings


def test_miou_against_ratio_is_plotted_without_a_script(
    smoke: tuple[Project, str], window: Any, tmp_path: Path
) -> None:
    project, _ = smoke
    database = project.path / "mlflow.db"
    trainings = tracked_trainings(database)
    # The training at R = 0 is the judge's too, and is there once.
    assert sorted(training.ratio for training in trainings if training.parent == trainings[0].parent) == [0, 0.25]
    with served_mlflow(database, tmp_path / "log", cwd=tmp_path, env=clean_environment()) as address:
        page = window.new_page()
        chart = compare_in_mlflow(page, address, trainings)
        text = page.inner_text("body")
        assert all(training.name in text for training in trainings)
        drawn = dict(chart.evaluate("chart => chart.data[0].x.map((x, i) => [Number(x), Number(chart.data[0].y[i])])"))
        assert drawn == pytest.approx({training.ratio: training.test_miou for training in trainings}, abs=1e-4)
        page.close()
