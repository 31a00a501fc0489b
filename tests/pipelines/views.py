"""What the browser tests open, and the pictures in the documents show: entries in Kedro-Viz, trainings in MLflow."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True)
class TrackedTraining:
    """A finished segmentation training as MLflow keeps it."""

    run: str
    name: str
    experiment: str
    parent: str
    ratio: float
    test_miou: float


def tracked_trainings(database: Path) -> list[TrackedTraining]:
    """Return the finished segmentation trainings of a database, oldest first."""
    query = (
        "select r.run_uuid, r.name, r.experiment_id, p.value, m.value, t.value from runs r "
        "join latest_metrics m on m.run_uuid = r.run_uuid and m.key = 'ratio' "
        "join latest_metrics t on t.run_uuid = r.run_uuid and t.key = 'test_miou' "
        "join tags p on p.run_uuid = r.run_uuid and p.key = 'mlflow.parentRunId' "
        "where r.status = 'FINISHED' order by r.start_time"
    )
    with closing(sqlite3.connect(database)) as connection:
        return [TrackedTraining(*map(str, row[:4]), *row[4:]) for row in connection.execute(query)]


def compare_in_mlflow(page: Any, address: str, trainings: Sequence[TrackedTraining]) -> Any:
    """Select trainings in the MLflow UI, plot `test_miou` against `ratio`, and return the chart."""
    runs, experiments = (
        json.dumps(sorted({getattr(training, name) for training in trainings})) for name in ("run", "experiment")
    )
    page.goto(f"{address}/#/compare-runs?runs={quote(runs)}&experiments={quote(experiments)}")
    page.get_by_text(f"Comparing {len(trainings)} Runs from 1 Experiment").wait_for(timeout=120_000)
    page.get_by_text("Scatter Plot").click()
    # `ratio` is a parameter and a metric; the metric is a number, and the last of both.
    for axis, name in (("x", "ratio"), ("y", "test_miou")):
        page.locator(f"#{axis}-axis-selector").click()
        page.get_by_role("option", name=name, exact=True).last.click()
    # The box around Plotly's drawing may have no height of its own, as MLflow lays it out.
    chart = page.locator(".js-plotly-plot", has=page.locator(".main-svg:visible")).first
    chart.wait_for(state="attached", timeout=60_000)
    page.wait_for_function(
        "chart => chart.layout.yaxis.title.text === 'test_miou'", arg=chart.element_handle(), timeout=60_000
    )
    return chart


def open_metrics(page: Any, address: str, database: Path, name: str) -> None:
    """Open the plots of the metrics of the newest run of a name in the MLflow UI."""
    with closing(sqlite3.connect(database)) as connection:
        query = "select experiment_id, run_uuid from runs where name = ? order by start_time desc limit 1"
        experiment, run = connection.execute(query, (name,)).fetchone()
    page.goto(f"{address}/#/experiments/{experiment}/runs/{run}/model-metrics")
    page.locator(".js-plotly-plot .main-svg:visible").first.wait_for(timeout=60_000)


# Where Kedro-Viz shows a preview of each kind.
PREVIEW_PLACES = {
    "TablePreview": ".pipeline-metadata .preview-table",
    "ImagePreview": ".pipeline-metadata img.pipeline-metadata__plot-image",
    "JSONPreview": ".pipeline-metadata .react-json-view",
    "PlotlyPreview": ".pipeline-metadata .js-plotly-plot .main-svg",
}


def viz_nodes(site: Path) -> dict[str, str]:
    """Return the ids of nodes and entries in a static Kedro-Viz site by name; a stage may have the name of an entry."""
    nodes = json.loads((site / "api/main").read_text())["nodes"]
    return {node["name"]: node["id"] for node in nodes if node["type"] != "modularPipeline"}


def preview_in_viz(page: Any, address: str, node: str, kind: str) -> None:
    """Open an entry of Kedro-Viz and wait until its preview is drawn."""
    page.goto(f"{address}/?pid=__default__&sid={node}")
    place = page.locator(PREVIEW_PLACES[kind]).first
    place.wait_for(timeout=30_000)
    if kind == "ImagePreview":
        page.wait_for_function("place => place.naturalWidth > 300", arg=place.element_handle())
