from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from browsing import HOST, free_port, served
from projects import Project, clean_environment


def test_miou_against_ratio_is_plotted_without_a_script(
    smoke: tuple[Project, str], window: Any, tmp_path: Path
) -> None:
    project, _ = smoke
    database = project.path / "mlflow.db"
    with sqlite3.connect(database) as connection:
        found = connection.execute(
            "select r.run_uuid, r.name, r.experiment_id, p.value from runs r join params p on p.run_uuid = r.run_uuid "
            "where p.key = 'ratio' and r.status = 'FINISHED' order by r.start_time limit 2"
        ).fetchall()
    assert len(found) == 2
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{database}"]
    command += ["--host", HOST, "--port", str(port), "--workers", "1"]
    with served(
        command, port, tmp_path / "server.log", "/health", cwd=tmp_path, env=clean_environment(), start_new_session=True
    ) as address:
        page = window.new_page()
        runs, experiments = json.dumps([run[0] for run in found]), json.dumps([str(found[0][2])])
        page.goto(f"{address}/#/compare-runs?runs={quote(runs)}&experiments={quote(experiments)}")
        page.get_by_text("Comparing 2 Runs from 1 Experiment").wait_for(timeout=60_000)
        page.get_by_text("Scatter Plot").click()
        page.locator(".scatterlayer .point").nth(1).wait_for(timeout=30_000)
        text = page.inner_text("body")
        assert all(name in text for _, name, _, _ in found)
        assert {"network", "ratio", "seed", "test_miou"} <= set(text.split())
        page.close()

        page = window.new_page()
        query = quote("metrics.ratio >= 0")
        page.goto(f"{address}/#/experiments/{found[0][2]}/runs?searchFilter={query}&compareRunsMode=TABLE")
        for _, name, _, _ in found:
            page.get_by_text(name, exact=True).first.wait_for(timeout=30_000)
        assert "augment bluemarble" not in page.inner_text("body"), "the filter leaves the segmentation trainings"
        page.close()
