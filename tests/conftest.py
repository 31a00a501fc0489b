"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

import satsynth  # noqa: F401  # sets how the threads of OpenMP wait, before anything imports PyTorch
from made_data import MadeData, make_data

# How long an example takes depends on what else runs on the machine.
settings.register_profile("satsynth", deadline=None)
settings.load_profile("satsynth")
PROJECT = Path(__file__).resolve().parents[1]


# Groups of tests that take minutes: what begins last should end soon after the rest.
LONG = ("smoke", "tests/work/test_ray_engine.py", "tests/pipelines/test_bad_input.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests that run at the same time share what takes long: a file's fixtures, and the smoke run.

    pytest-xdist reads the groups in the same hook, so they must be there before.
    """
    groups = {
        item: "smoke" if "smoke" in getattr(item, "fixturenames", ()) else item.nodeid.split("::")[0] for item in items
    }
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: groups[item] not in LONG)


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the repository."""
    return PROJECT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real imagery: SATSYNTH_SHARED, or `shared` beside the repository."""
    folder = Path(os.environ.get("SATSYNTH_SHARED", PROJECT.parent / "shared")).expanduser()
    if not (folder / "data").is_dir():
        pytest.skip(f"no real imagery: {folder / 'data'} is not there; name its parent in SATSYNTH_SHARED")
    return folder


@pytest.fixture
def made(tmp_path: Path) -> MadeData:
    """A small data set of colour masks in groups."""
    return make_data(tmp_path / "raw")
