"""Fixtures of whole projects."""

from __future__ import annotations

from pathlib import Path

import pytest
from projects import Project, add_made_data, make_project


@pytest.fixture
def made_project(tmp_path: Path) -> Project:
    return add_made_data(make_project(tmp_path / "project"))


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """A finished smoke run and what it printed."""
    project = make_project(tmp_path_factory.mktemp("smoke"))
    return project, project.run("augment", "smoke")
