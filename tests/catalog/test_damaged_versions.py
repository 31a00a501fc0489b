"""Versions that are damaged, and exports that others edit."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
from kedro.io.core import DatasetError, Version

from made_data import made_pairs, write_store
from satsynth.catalog.folder import ExportDataset, PairStoreDataset
from satsynth.catalog.table import TableDataset
from satsynth.pairs.store import PairStore
from satsynth.work.errors import DamagedError
from satsynth.work.files import MANIFEST

VERSION = "2026-01-01T00.00.00.000Z"


def cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def test_a_version_with_a_damaged_manifest_is_named_with_what_to_type(tmp_path: Path) -> None:
    store = write_store(tmp_path / "work", made_pairs(3))
    version = Version(None, VERSION)
    dataset = PairStoreDataset(filepath=str(tmp_path / "tiles"), version=version)
    dataset.save(store)
    path = tmp_path / "tiles" / VERSION / "tiles"
    again = PairStoreDataset(filepath=str(tmp_path / "tiles"), version=Version(None, None))
    assert again.load().digest == store.digest
    (path / "pairs-00000.parquet").write_bytes(b"PAR1")
    loaded = again.load()
    assert isinstance(loaded, PairStore)
    with pytest.raises(DamagedError, match=r"pairs-00000\.parquet is damaged") as caught:
        loaded.index()
    assert caught.value.path == path / "pairs-00000.parquet"
    os.truncate(path / MANIFEST, 20)
    with pytest.raises((DamagedError, DatasetError)) as failed:
        again.load()
    damage = cause(failed.value)
    assert isinstance(damage, DamagedError)
    assert damage.path == path / MANIFEST and "kedro run --pipeline=augment" in damage.remedy


def test_an_export_shares_no_file_with_the_work_while_versions_do(tmp_path: Path) -> None:
    store = write_store(tmp_path / "work", made_pairs(3))
    version = Version(None, VERSION)
    shared = {}
    for kind in (ExportDataset, PairStoreDataset):
        dataset = kind(filepath=str(tmp_path / kind.__name__), version=version)
        dataset.save(store)
        saved = tmp_path / kind.__name__ / VERSION / kind.__name__
        shared[kind] = [path.samefile(store.path / path.name) for path in saved.iterdir()]
    assert shared == {ExportDataset: [False, False], PairStoreDataset: [True, True]}


@pytest.mark.parametrize("damage", ["empty", "cut off", "flipped"])
def test_a_damaged_table_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "table.parquet"
    table = pd.DataFrame({"name": ["a", "b"] * 500, "window": [[number, 2] for number in range(1000)]})
    dataset = TableDataset(filepath=str(path))
    dataset.save(table)
    assert [list(window) for window in dataset.load()["window"]] == list(table["window"])
    content = path.read_bytes()
    flipped = content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]
    path.write_bytes({"empty": b"", "cut off": content[:900], "flipped": flipped}[damage])
    with pytest.raises((DamagedError, DatasetError)) as failed:
        dataset.load()
    errors = [failed.value, failed.value.__cause__]
    (found,) = [error for error in errors if isinstance(error, DamagedError)]
    assert found.path == path and "kedro run" in found.remedy


def test_the_catalog_names_exports_as_copies(project: Path) -> None:
    text = (project / "conf/base/catalog_export.yml").read_text()
    assert text.count("ExportDataset") == 2 and "FinishedFolderDataset" not in text
