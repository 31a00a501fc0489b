"""Lets a run read what it saves itself, and of all else the versions that its parameters make."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from satsynth.catalog.folder import FinishedFolderDataset
from satsynth.catalog.lineage import LineageDataset
from satsynth.catalog.recorded import Making
from satsynth.hooks.lineage import Candidate, Lineage, chosen_inputs
from satsynth.pipelines.graph import data_inputs
from satsynth.training.settings import ComputeSettings
from satsynth.work.origins import Origin, StepSettings, merged
from satsynth.work.workspace import Workspace


def choose_versions(
    run_params: Mapping[str, Any], pipeline: Pipeline, catalog: CatalogProtocol, known: Mapping[str, Pipeline]
) -> Path:
    """Decide for every entry of a run which version it reads, before any work is done.

    An entry that the run makes is read as the run saves it, whatever other runs save meanwhile. Any other entry is read
    in the version that the parameters of the run make. With ``--only-missing-outputs``, only such versions count as
    there, and whatever rests on one that is made is made too.

    Args:
        run_params: What the command says.
        pipeline: What the run does.
        catalog: The catalog of the run; its entries are told what to read.
        known: All pipelines by name.

    Returns:
        A folder for the run's own copies of entries without versions; it is made when it is needed.

    Raises:
        AncestryError: What the run starts from was made with other parameters, or its parts do not fit together.
        DamagedError: It is not what was saved.
    """
    lineage = Lineage(catalog, known, pipeline, run_params.get("load_versions"))
    lineage.warn_of_named()
    read = chosen_inputs(lineage, pipeline.inputs())
    for name, found in read.items():
        _read(lineage, name, found)
    own = Workspace.model_validate(catalog.load("params:workspace")).work / "runs" / f".own.{uuid.uuid4().hex[:8]}.tmp"
    plan = _Plan(lineage, own, {name: found.origin for name, found in read.items()})
    for node in pipeline.nodes:
        if not (run_params.get("only_missing_outputs") and plan.keeps(node)):
            plan.makes(node)
    return own


class _Plan:
    """What each node of a run reads and saves.

    Args:
        lineage: The origins.
        own: Folder of the run's own copies.
        origins: Origins of what the run reads, or where they will lie, by entry.
    """

    def __init__(self, lineage: Lineage, own: Path, origins: Mapping[str, Path | Origin]) -> None:
        self._lineage, self._own = lineage, own
        self._origins: dict[str, Path | Origin] = dict(origins)
        self._settings: dict[str, Mapping[str, StepSettings]] = {
            name: origin.settings for name, origin in origins.items() if isinstance(origin, Origin)
        }
        self._anew: set[str] = set()

    def keeps(self, node: Node) -> bool:
        """Keep all outputs of a node that are there as this run would make them; return whether they are."""
        if self._anew & set(data_inputs(node)):
            return False
        if not all(self._lineage.there(name) for name in node.outputs):
            return False
        for name in node.outputs:
            chosen = self._lineage.choose(name)
            _read(self._lineage, name, chosen)
            self._origins[name], self._settings[name] = chosen.origin, chosen.origin.settings
        return True

    def makes(self, node: Node) -> None:
        """Have the outputs of a node made and recorded."""
        inputs = {name: self._origins[name] for name in data_inputs(node) if name in self._origins}
        settings = merged(
            [*(self._settings[name] for name in inputs), _on_this_machine(node, self._lineage.own_settings(node))]
        )
        for name in node.outputs:
            dataset = self._lineage.recorded(name)
            if dataset is None:
                continue
            copied = dataset._version is None and not isinstance(dataset, FinishedFolderDataset)
            path = Path(dataset._filepath)
            dataset.will_be_made(Making(name, settings, inputs, self._own / name / path.name if copied else None))
            self._anew.add(name)
            self._origins[name], self._settings[name] = dataset.saved_origin, settings
            if name in self._lineage.named:
                # Its nodes read what the user names, though the run saves another version.
                origin = self._lineage.named[name].origin
                self._origins[name], self._settings[name] = origin, origin.settings
        for name in data_inputs(node):
            dataset = self._lineage.dataset(name)
            if isinstance(dataset, LineageDataset):
                dataset.inputs = inputs
                dataset.settings = settings


def _read(lineage: Lineage, name: str, found: Candidate) -> None:
    dataset = lineage.recorded(name)
    if dataset is not None and found.version is not None:
        dataset.read_version(found.version)


def _on_this_machine(node: Node, settings: Mapping[str, StepSettings]) -> dict[str, StepSettings]:
    """Return the parameters of a node with the kind of device that `auto` finds here."""

    def resolved(groups: StepSettings) -> StepSettings:
        if "compute" not in groups:
            return groups
        from satsynth.training.device import choose_device

        compute = ComputeSettings(device=groups["compute"]["device"])
        return {**groups, "compute": {**groups["compute"], "device": choose_device(compute).type}}

    return {step: resolved(groups) for step, groups in settings.items()}
