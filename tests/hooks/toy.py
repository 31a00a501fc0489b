"""A project of four steps whose results are one number each, with the data sets of the real catalog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, MemoryDataset, SharedMemoryDataCatalog
from kedro.io.core import Version
from kedro.pipeline import Pipeline, node
from kedro.runner import AbstractRunner, ParallelRunner, SequentialRunner

from satsynth.catalog.lineage import LineageDataset
from satsynth.catalog.page import PageDataset
from satsynth.catalog.small import CsvDataset
from satsynth.catalog.table import TableDataset
from satsynth.hooks.versions import choose_versions
from satsynth.work.workspace import Workspace

VERSIONED = ("tiles", "generator", "pairs")
PARAMETERS = {"cut": {"stride": 32}, "learn": {"images": 100}, "draw": {"seed": 0}, "count": {"bins": 4}}


def frame(value: int) -> pd.DataFrame:
    return pd.DataFrame({"value": [value]})


def value_of(table: pd.DataFrame) -> int:
    return int(table["value"][0])


def cut_tiles(cut: dict[str, int], source: int) -> pd.DataFrame:
    return frame(cut["stride"] + source)


def learn(tiles: pd.DataFrame, settings: dict[str, int]) -> pd.DataFrame:
    return frame(1000 * value_of(tiles) + settings["images"])


def draw(generator: pd.DataFrame, tiles: pd.DataFrame, settings: dict[str, int]) -> pd.DataFrame:
    return frame(10 * value_of(generator) + settings["seed"])


def count(pairs: pd.DataFrame, tiles: pd.DataFrame, settings: dict[str, int]) -> pd.DataFrame:
    return frame(value_of(pairs))


def report(pairs: pd.DataFrame, summary: pd.DataFrame, lineage: dict[str, Any]) -> str:
    shown = {name: part[group] for name, group, part in _flat(lineage["settings"])}
    return f"pairs {value_of(pairs)} summary {value_of(summary)} {shown} {sorted(lineage['digests'])}"


def _flat(settings: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (step, group, groups) for step, groups in sorted(settings.items()) for group in groups if group in PARAMETERS
    ]


NODES = {
    "tiling": node(cut_tiles, ["params:cut", "source"], "tiles", name="cut_tiles", tags=["cpu"]),
    "diffusion": node(learn, ["tiles", "params:learn"], "generator", name="learn", tags=["cpu"]),
    "sampling": node(draw, ["generator", "tiles", "params:draw"], "pairs", name="draw", tags=["cpu"]),
    "comparison": node(count, ["pairs", "tiles", "params:count"], "summary", name="count", tags=["cpu"]),
    "report": node(report, ["pairs", "summary", "lineage"], "page", name="report", tags=["cpu"]),
}
KNOWN = {name: Pipeline([one]) for name, one in NODES.items()} | {"augment": Pipeline(list(NODES.values()))}


@dataclass
class Toy:
    """A project on disk.

    Args:
        folder: Its folder.
        source: The raw data, a number.
        ran: Steps that ran, in turn.
        day: Number of runs so far, for the names of versions.
    """

    folder: Path
    source: int = 0
    ran: list[str] = field(default_factory=list)
    day: int = 0

    def catalog(
        self,
        load: dict[str, str],
        save: str,
        parameters: dict[str, Any],
        kind: type[DataCatalog] = DataCatalog,
    ) -> DataCatalog:
        reports = self.folder / "08_reporting"
        entries: dict[str, Any] = {
            name: TableDataset(
                filepath=str(self.folder / "data" / f"{name}.parquet"), version=Version(load.get(name), save)
            )
            for name in VERSIONED
        }
        entries["summary"] = CsvDataset(filepath=str(reports / "summary.csv"))
        entries["page"] = PageDataset(filepath=str(reports / "page.txt"))
        entries["lineage"] = LineageDataset(filepath=str(reports / "origins"))
        entries["source"] = MemoryDataset(self.source)
        entries["parameters"] = MemoryDataset(parameters)
        for name in PARAMETERS:
            entries[f"params:{name}"] = MemoryDataset(parameters[name])
        entries["params:workspace"] = MemoryDataset(Workspace(project=str(self.folder)))
        return kind(entries)

    def run(
        self,
        *pipelines: str,
        load: dict[str, str] | None = None,
        only_missing: bool = False,
        runner: AbstractRunner | None = None,
        version: str = "",
        before: dict[str, Callable[[], object]] | None = None,
        from_nodes: list[str] | None = None,
        **changes: int,
    ) -> str:
        """Run pipelines with some parameters changed, such as ``seed=9``; return the page."""
        self.day += 1
        version = version or f"2026-01-{self.day:02}T00.00.00.000Z"
        parameters = {
            name: {key: changes.get(key, value) for key, value in group.items()} for name, group in PARAMETERS.items()
        }
        kind = SharedMemoryDataCatalog if isinstance(runner, ParallelRunner) else DataCatalog
        catalog = self.catalog(load or {}, version, parameters, kind)
        pipeline = sum((KNOWN[name] for name in pipelines or ["augment"]), Pipeline([]))
        pipeline = pipeline.from_nodes(*from_nodes) if from_nodes else pipeline
        manager = _create_hook_manager()
        if before is not None or runner is None:
            manager.register(_Watch(self.ran, before or {}))
        asked = {"load_versions": load, "only_missing_outputs": only_missing}
        choose_versions(asked, pipeline, catalog, KNOWN)
        (runner or SequentialRunner()).run(pipeline, catalog, manager, only_missing_outputs=only_missing)
        return str(catalog.load("page")) if "page" in pipeline.datasets() else ""

    def public(self, name: str) -> Path:
        return self.folder / "08_reporting" / name


class _Watch:
    """Notes which steps run, and does something before some of them: what another run does meanwhile."""

    def __init__(self, ran: list[str], before: dict[str, Callable[[], object]]) -> None:
        self._ran, self._before = ran, before

    @hook_impl
    def before_dataset_loaded(self, dataset_name: str, node: Any) -> None:
        if dataset_name == node.inputs[0] and node.name in self._before:
            self._before.pop(node.name)()

    @hook_impl
    def before_node_run(self, node: Any) -> None:
        self._ran.append(node.name)
