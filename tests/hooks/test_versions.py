"""A run reads what it made itself, whatever other versions there are."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog
from kedro.io.core import Version
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner, ThreadRunner

from satsynth.catalog.table import TableDataset
from satsynth.hooks import VersionHooks

MINE, AHEAD = "2026-01-02T00.00.00.000Z", "2099-01-01T00.00.00.000Z"


def dataset_of(folder: Path, load: str | None = None, save: str | None = None) -> TableDataset:
    return TableDataset(filepath=str(folder / "table.parquet"), version=Version(load, save))


def run(folder: Path, runner: SequentialRunner | ThreadRunner, load: str | None = None) -> pd.DataFrame:
    """Save a table as the version `MINE`, and return what the next node reads."""
    seen: list[pd.DataFrame] = []
    catalog = DataCatalog({"table": dataset_of(folder, load, MINE)})
    hooks = VersionHooks()
    manager = _create_hook_manager()
    manager.register(hooks)
    hooks.after_catalog_created(catalog)
    pipeline = Pipeline(
        [
            node(lambda: pd.DataFrame({"value": [1]}), None, "table", name="make"),
            node(lambda table: seen.append(table) or "done", "table", "done", name="read"),
        ]
    )
    runner.run(pipeline, catalog, manager)
    return seen[0]


@pytest.mark.parametrize("runner", [SequentialRunner, ThreadRunner])
def test_a_newer_version_of_another_run_is_not_read(
    tmp_path: Path, runner: type[SequentialRunner | ThreadRunner]
) -> None:
    dataset_of(tmp_path, save=AHEAD).save(pd.DataFrame({"value": [99]}))
    assert run(tmp_path, runner())["value"].tolist() == [1]
    # Another run, which makes nothing of its own, still takes the newest.
    assert dataset_of(tmp_path).load()["value"].tolist() == [99]


def test_a_version_that_the_user_names_is_read(tmp_path: Path) -> None:
    dataset_of(tmp_path, save=AHEAD).save(pd.DataFrame({"value": [99]}))
    with pytest.warns(UserWarning, match="did not match"):
        assert run(tmp_path, SequentialRunner(), load=AHEAD)["value"].tolist() == [99]
