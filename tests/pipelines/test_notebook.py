from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbclient import NotebookClient
from projects import ROOT, Project

# A list for repairs, what `fidelity` and `class_distribution` sum up, what two figures are drawn from, and origins.
NOT_SHOWN = {"bad_files", "class_adjacency", "image_curves", "lineage"}
# What has no rows unless a parameter asks for it.
NOT_SHOWN |= {"untrusted_pixels"}
# What only the pipeline `rivals` makes; the tour is of a run of `augment`.
NOT_SHOWN |= {f"generator_{name}" for name in ("comparison", "findings", "gallery", "worth")}
# And what only `labels` makes.
NOT_SHOWN |= {f"label_{name}" for name in ("curve", "findings", "worth")}


def reporting() -> set[str]:
    """Return all catalog entries of the layer that people read."""
    entries: dict[str, Any] = {}
    for file in (ROOT / "conf" / "base").glob("catalog_*.yml"):
        entries |= yaml.safe_load(file.read_text())
    return {name for name, entry in entries.items() if entry["metadata"]["kedro-viz"]["layer"] == "reporting"}


def code_of(notebook: Path) -> str:
    return "\n".join("".join(cell["source"]) for cell in json.loads(notebook.read_text())["cells"])


def test_the_tour_shows_all_that_a_run_reports() -> None:
    loaded = set(re.findall(r'"([a-z_]+)"', code_of(ROOT / "notebooks" / "tour.ipynb")))
    wanted = reporting() - NOT_SHOWN
    assert len(wanted) > 10 and not wanted - loaded


def test_the_tour_shows_a_finished_run(smoke: tuple[Project, str], monkeypatch: pytest.MonkeyPatch) -> None:
    project, _ = smoke
    monkeypatch.setenv("SATSYNTH_ENV", "smoke")
    # The tour is to find the project's own settings itself.
    monkeypatch.delenv("KEDRO_LOGGING_CONFIG", raising=False)
    notebook = nbformat.read(project.path / "notebooks" / "tour.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(project.path / "notebooks")}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output.get("data", {}) for output in outputs]
    # Galleries of pairs, of the nearest pairs and of new ones; a figure for each entry that is one.
    assert sum("image/png" in data for data in shown) == 3
    figures = {name for name in reporting() - NOT_SHOWN if name.endswith(("_plot", "_curve"))}
    assert sum("application/vnd.plotly.v1+json" in data for data in shown) == len(figures)
    words = "".join(data.get("text/markdown", "") for data in shown)
    assert all(question in words for question in ("Did they help?", "How real are they?", "Are they copies?"))
    tables = "".join(data.get("text/html", "") for data in shown)
    assert all(column in tables for column in ("kernel distance", "suspicious below", "miou_real", "augmentation"))
    assert any("report.html" in output.get("text", "") for output in outputs)
    # Neither a log line for each entry nor a warning.
    assert not [output for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    assert "Loading data from" not in str(outputs)


def test_a_tour_without_a_run_says_what_to_do(made_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SATSYNTH_DATASET", "made")
    notebook = nbformat.read(made_project.path / "notebooks" / "tour.ipynb", as_version=4)
    client = NotebookClient(notebook, resources={"metadata": {"path": str(made_project.path / "notebooks")}})
    with pytest.raises(
        Exception, match=r"(?s)No run on made has finished in the environment base\..*`make augment` does one"
    ):
        client.execute()
