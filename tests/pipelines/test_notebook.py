from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient
from projects import Project


def test_the_tour_shows_a_finished_run(smoke: tuple[Project, str], monkeypatch: pytest.MonkeyPatch) -> None:
    project, _ = smoke
    monkeypatch.setenv("SATSYNTH_ENV", "smoke")
    notebook = nbformat.read(project.path / "notebooks" / "tour.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(project.path / "notebooks")}}).execute()
    kinds = {kind for cell in notebook.cells for output in cell.get("outputs", []) for kind in output.get("data", {})}
    assert {"image/png", "text/html", "application/vnd.plotly.v1+json"} <= kinds
