from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from browsing import HOST, free_port, served
from projects import Project, clean_environment


def test_miou_against_ratio_is_plotted_without_a_script(
    smoke: tuple[Project, str], window: Any, tmp_path: Path
) -> None:
    project, _ = smoke
    database = project.path / "mlflow.db"
    with sqlite3.connect(database) as connection:
        found = {
            row[0]: row
            for row in connection.execute(
                "select m.value, r.run_uuid, r.name, r.experiment_id, t.value from runs r "
                "join latest_metrics m on m.run_uuid = r.run_uuid and m.key = 'ratio' "
                "join latest_metrics t on t.run_uuid = r.run_uuid and t.key = 'test_miou' where r.status = 'FINISHED'"
            )
        }
    assert sorted(found) == [0, 0.25]
    runs, experiments = (json.dumps(sorted({str(row[i]) for row in found.values()})) for i in (1, 3))
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{database}"]
    command += ["--host", HOST, "--port", str(port), "--workers", "1"]
    with served(command, port, tmp_path / "log", "/health", cwd=tmp_path, env=clean_environment()) as address:
        page = window.new_page()
        page.goto(f"{address}/#/compare-runs?runs={quote(runs)}&experiments={quote(experiments)}")
        page.get_by_text("Comparing 2 Runs from 1 Experiment").wait_for(timeout=120_000)
        text = page.inner_text("body")
        assert all(name in text for _, _, name, _, _ in found.values())
        page.get_by_text("Scatter Plot").click()
        # `ratio` is a parameter and a metric; the metric is a number, and the last of both.
        for axis, name in (("x", "ratio"), ("y", "test_miou")):
            page.locator(f"#{axis}-axis-selector").click()
            page.get_by_role("option", name=name, exact=True).last.click()
        chart = page.locator(".js-plotly-plot:visible").first
        page.wait_for_function(
            "chart => chart.layout.yaxis.title.text === 'test_miou'", arg=chart.element_handle(), timeout=60_000
        )
        drawn = dict(chart.evaluate("chart => chart.data[0].x.map((x, i) => [Number(x), Number(chart.data[0].y[i])])"))
        assert drawn == pytest.approx({ratio: row[4] for ratio, row in found.items()}, abs=1e-4)
        page.close()
