"""Files of the catalog are verified at each read, whatever their kind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import yaml
from kedro.io.core import AbstractDataset, DatasetError, Version
from kedro.utils import load_obj

from satsynth.catalog.page import PageDataset
from satsynth.catalog.picture import PictureDataset
from satsynth.catalog.recorded import Making
from satsynth.catalog.small import CsvDataset, FigureDataset, MetricsDataset
from satsynth.catalog.table import TableDataset
from satsynth.work.errors import DamagedError
from satsynth.work.origins import origin_path

MAKING = Making("entry", {}, {}, None)
TABLE = pd.DataFrame({"name": ["a", "é"] * 200, "value": np.linspace(0, 1, 400)})
KINDS: dict[str, tuple[type[Any], Any, Callable[[Any], Any]]] = {
    "csv": (CsvDataset, TABLE, lambda table: table.to_dict()),
    "parquet": (TableDataset, TABLE, lambda table: table.to_dict()),
    "json": (MetricsDataset, {"miou": 0.5, "names": ["é"]}, lambda value: value),
    "plot": (FigureDataset, go.Figure(go.Bar(y=[1, 2])), lambda figure: figure.to_dict()["data"][0]["type"]),
    "png": (PictureDataset, np.arange(192, dtype=np.uint8).reshape(8, 8, 3), lambda picture: picture.tolist()),
    "html": (PageDataset, "<p>é</p>", lambda page: page),
}


def flip(path: Path, place: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 4
    path.write_bytes(content)


def damage_of(dataset: AbstractDataset[Any, Any]) -> DamagedError:
    with pytest.raises((DamagedError, DatasetError)) as failed:
        dataset.load()
    (found,) = [error for error in (failed.value, failed.value.__cause__) if isinstance(error, DamagedError)]
    return found


@pytest.mark.parametrize("versioned", [False, True], ids=["plain", "versioned"])
@pytest.mark.parametrize("kind", KINDS)
def test_damage_of_a_file_or_of_its_origin_is_named_and_saving_repairs_it(
    kind: str, versioned: bool, tmp_path: Path
) -> None:
    maker, data, plain = KINDS[kind]
    time = "2026-01-01T00.00.00.000Z"
    path = tmp_path / kind / time / kind if versioned else tmp_path / kind

    def saved() -> AbstractDataset[Any, Any]:
        if versioned and path.exists():
            path.unlink()
        dataset = maker(filepath=str(tmp_path / kind), **({"version": Version(time, time)} if versioned else {}))
        dataset.will_be_made(MAKING)
        dataset.save(data)
        assert plain(dataset.load()) == plain(data)
        return dataset

    dataset = saved()
    origin = origin_path(tmp_path / kind, time if versioned else None)
    assert origin.exists()
    for file in (path, origin):
        size = file.stat().st_size
        for place in (0.0, 0.35, 0.7, 1.0):
            flip(file, place)
            damage = damage_of(dataset)
            assert damage.path == file and "kedro run" in damage.remedy
            flip(file, place)
        assert plain(dataset.load()) == plain(data)
        # An origin ends with an empty line, which it can do without.
        for left in (0, size // 2, size - 2):
            os.truncate(file, left)
            assert damage_of(dataset).path == file
            dataset = saved()


def test_what_is_saved_outside_of_a_run_has_no_origin_not_even_that_of_what_it_replaces(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    dataset = CsvDataset(filepath=str(path))
    dataset.will_be_made(MAKING)
    dataset.save(TABLE)
    assert origin_path(path, None).exists()
    by_hand = CsvDataset(filepath=str(path))
    by_hand.save(TABLE.head(3))
    assert not origin_path(path, None).exists()
    assert len(dataset.load()) == len(by_hand.load()) == 3


def test_every_entry_of_the_catalog_is_of_a_kind_that_is_verified(project: Path) -> None:
    types = {
        entry["type"]
        for file in (project / "conf/base").glob("catalog*.yml")
        for name, entry in yaml.safe_load(file.read_text()).items()
        if not name.startswith("_")
    }
    single = {f"{kind.__module__}.{kind.__name__}" for kind, _, _ in KINDS.values()}
    folders = {name for name in types if name.startswith("satsynth.catalog.folder.")}
    # It keeps nothing: it shows what the others' origins say.
    lineage = "satsynth.catalog.lineage.LineageDataset"
    # It may be missing, and holds digests of its own.
    section = "satsynth.catalog.section.SectionDataset"
    assert types == folders | single | {lineage, section}
    assert all(load_obj(name) for name in types)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"html"}))
def test_a_damaged_file_has_no_preview(kind: str, tmp_path: Path) -> None:
    maker, data, _ = KINDS[kind]
    dataset = maker(filepath=str(tmp_path / kind))
    dataset.will_be_made(MAKING)
    dataset.save(data)
    assert dataset.preview()
    flip(tmp_path / kind, 0.5)
    with pytest.raises((DamagedError, DatasetError)):
        dataset.preview()
