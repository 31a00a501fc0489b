"""Which parameters count for what a step makes: those by which a run tells its own results from others'."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kedro.pipeline.node import Node
from pydantic import BaseModel

from satsynth.analysis.settings import ComparisonSettings
from satsynth.datasets.description import DatasetDescription
from satsynth.generation.families import FAMILIES, UNLABELLED, FamilySettings
from satsynth.generation.settings import GenerationSettings
from satsynth.pipelines.graph import step_name
from satsynth.pipelines.parameters import MODELS
from satsynth.scenes.settings import IngestionSettings
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.workspace import Workspace

Counted = dict[str, Any]
# What a description says to people only.
_WORDS = {"title", "licence", "obtain", "download"}


def counting_settings(node: Node, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that count for what a node makes, by the name of their group.

    The number of threads and the kind of device that `auto` finds are not among them: they belong to the machine.

    Args:
        node: The node.
        parameters: All parameters of the project.
    """
    family = GenerationSettings.model_validate(parameters.get("generation") or {}).family
    found: dict[str, Any] = {}
    for name in sorted(name.removeprefix("params:") for name in node.inputs if name.startswith("params:")):
        if name == "segmentation" and _unjudged(node, family):
            continue
        if name not in MODELS:
            found[name] = parameters.get(name)
        elif name not in FAMILIES or name == family:
            counted = _counted(node, MODELS[name].model_validate(parameters.get(name) or {}))
            if counted:
                found[name] = counted
    return found


def _unjudged(node: Node, family: str) -> bool:
    """Return whether a node draws pairs that have masks of their own, which need no judge."""
    return node.name.rsplit(".", 1)[-1] == "draw_pairs" and family not in UNLABELLED


def _counted(node: Node, settings: BaseModel) -> Counted:
    rule: Callable[[str, Any], Counted] | None = next(
        (rule for kind, rule in _RULES.items() if isinstance(settings, kind)), None
    )
    if isinstance(settings, ComputeSettings) and "gpu" not in node.tags:
        # Only its workers matter there, which change no result.
        return {}
    return rule(step_name(node), settings) if rule else settings.model_dump(mode="json")


def _of_workspace(node: str, workspace: Workspace) -> Counted:
    return {"raw": workspace.raw} if node == "find_scenes" else {}


def _of_compute(node: str, compute: ComputeSettings) -> Counted:
    return {"precision": compute.precision, "device": compute.device}


def _of_ingestion(node: str, ingestion: IngestionSettings) -> Counted:
    return ingestion.model_dump(mode="json")


def _of_description(node: str, description: DatasetDescription) -> Counted:
    if node == "find_scenes":
        return description.model_dump(mode="json", exclude=_WORDS | {"tiling"})
    if node == "cut_tiles":
        # Where scenes are and how they are divided counts for the scenes.
        return description.reading()
    if node == "compare_networks":
        return {"name": description.name}
    return description.model_dump(mode="json", exclude={"download"})


def _of_family(node: str, family: FamilySettings) -> Counted:
    # Not the training's identity: that leaves out places whose content it knows.
    settings: Counted = family.model_dump(mode="json", exclude={"drawing"} if node == "train_generator" else None)
    return settings if node == "train_generator" else {"drawing": settings["drawing"]}


def _of_comparison(node: str, comparison: ComparisonSettings) -> Counted:
    # Pictures follow the number of pairs in them, measures do not.
    shown = {"gallery_pairs"}
    settings: Counted = comparison.model_dump(mode="json", exclude=shown if node == "measure_fidelity" else None)
    return {name: settings[name] for name in shown} if node.startswith("draw_") else settings


def _of_segmentation(node: str, segmentation: SegmentationSettings) -> Counted:
    settings: Counted = segmentation.model_dump(mode="json")
    if node in ("train_judge", "draw_pairs"):
        judge = settings["judge"]
        chosen = {judge["network"]: settings["networks"][judge["network"]]}
        return {"judge": judge, "networks": chosen, "training": settings["training"]}
    if node == "compare_networks":
        return {"networks": settings["networks"]}
    del settings["judge"]
    return settings


_RULES: dict[type[BaseModel], Callable[[str, Any], Counted]] = {
    Workspace: _of_workspace,
    ComputeSettings: _of_compute,
    IngestionSettings: _of_ingestion,
    DatasetDescription: _of_description,
    FamilySettings: _of_family,
    ComparisonSettings: _of_comparison,
    SegmentationSettings: _of_segmentation,
}
