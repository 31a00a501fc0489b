"""Fixtures of whole projects."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import browser_window
from projects import Project, add_made_data, make_project

# Whoever is started in the background of a script ignores Ctrl-C, and so would the runs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def made_project(tmp_path: Path) -> Project:
    return add_made_data(make_project(tmp_path / "project"))


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """A finished smoke run and what it printed."""
    project = make_project(tmp_path_factory.mktemp("smoke"))
    return project, project.run("augment", "smoke")


@pytest.fixture(scope="session")
def viz_site(smoke: tuple[Project, str]) -> Path:
    """The static site of Kedro-Viz for the finished smoke run."""
    project, _ = smoke
    # `kedro viz build` has no option for the environment.
    status, output = project.kedro("viz", "build", "--include-previews", environment={"KEDRO_ENV": "smoke"})
    assert status == 0, output
    return project.path / "build"


@pytest.fixture(scope="session")
def window() -> Iterator[Any]:
    """A browser's windows that ask this machine alone."""
    try:
        with browser_window() as context:
            yield context
    except FileNotFoundError as error:
        pytest.skip(str(error))
