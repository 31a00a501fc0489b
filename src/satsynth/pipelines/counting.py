"""Which parameters count for what a step makes: those by which a run tells its own results from others'."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kedro.pipeline.node import Node
from pydantic import BaseModel

from satsynth.analysis.settings import ComparisonSettings
from satsynth.datasets.description import DatasetDescription
from satsynth.generation.families import FAMILIES, WITHOUT_MASKS, FamilySettings
from satsynth.generation.settings import GenerationSettings, RivalsSettings
from satsynth.pairs.settings import LabelsSettings, TilingSettings
from satsynth.pipelines.graph import step_name
from satsynth.pipelines.parameters import MODELS
from satsynth.scenes.settings import IngestionSettings
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.workspace import Workspace

Counted = dict[str, Any]
# What a description says to people only.
_WORDS = {"title", "licence", "obtain", "download"}
# The steps that train generators, and those that draw pairs from them.
_TRAINING = ("train_generator", "train_rivals", "train_by_labels")
_DRAWING = ("draw_pairs", "draw_from_rivals", "draw_by_labels")


def counting_settings(node: Node, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that count for what a node makes, by the name of their group.

    The number of threads and the kind of device that `auto` finds are not among them: they belong to the machine.

    Args:
        node: The node.
        parameters: All parameters of the project.
    """
    families = _families_of(node, parameters)
    found: dict[str, Any] = {}
    for name in sorted(name.removeprefix("params:") for name in node.inputs if name.startswith("params:")):
        if name == "segmentation" and _unjudged(node, families):
            continue
        if name not in MODELS:
            found[name] = parameters.get(name)
        elif name not in FAMILIES or name in families:
            counted = _counted(node, MODELS[name].model_validate(parameters.get(name) or {}))
            if counted:
                found[name] = counted
    return found


def _families_of(node: Node, parameters: Mapping[str, Any]) -> set[str]:
    """Return the families of generators that a node trains or draws from."""
    if "params:rivals" in node.inputs:
        return set(RivalsSettings.model_validate(parameters.get("rivals") or {}).families)
    return {GenerationSettings.model_validate(parameters.get("generation") or {}).family}


def _unjudged(node: Node, families: set[str]) -> bool:
    """Return whether a node draws pairs that have masks of their own, which need no judge."""
    return step_name(node) in _DRAWING and not families & WITHOUT_MASKS


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


def _of_tiling(node: str, tiling: TilingSettings) -> Counted:
    if node == "cut_by_labels":
        # The shares are those of `labels`.
        return tiling.model_dump(mode="json", exclude={"label_share", "label_scenes"})
    return tiling.identity()


def _of_description(node: str, description: DatasetDescription) -> Counted:
    if node == "find_scenes":
        return description.model_dump(mode="json", exclude=_WORDS | {"tiling"})
    if node in ("cut_tiles", "cut_by_labels"):
        # Where scenes are and how they are divided counts for the scenes.
        return description.reading()
    if node in ("compare_networks", "compare_rivals", "put_rivals_to_work"):
        return {"name": description.name}
    return description.model_dump(mode="json", exclude={"download"})


def _of_family(node: str, family: FamilySettings) -> Counted:
    # Not the training's identity: that leaves out places whose content it knows.
    if node in _TRAINING:
        return family.model_dump(mode="json", exclude={"drawing"})
    return {"drawing": family.drawing.identity()}


def _of_comparison(node: str, comparison: ComparisonSettings) -> Counted:
    # Pictures follow the number of pairs in them, measures do not.
    shown = {"gallery_pairs"}
    measures = node in ("measure_fidelity", "compare_rivals")
    settings: Counted = comparison.model_dump(mode="json", exclude=shown if measures else None)
    return {name: settings[name] for name in shown} if node.startswith("draw_") else settings


def _of_segmentation(node: str, segmentation: SegmentationSettings) -> Counted:
    settings: Counted = segmentation.model_dump(mode="json")
    if node == "train_judge" or node in _DRAWING:
        judge = settings["judge"]
        chosen = {judge["network"]: settings["networks"][judge["network"]]}
        return {"judge": judge, "networks": chosen, "training": settings["training"]}
    if node == "compare_networks":
        return {"networks": settings["networks"]}
    if segmentation.untrusted is None:
        # Networks are trained without a look at what the judge says.
        del settings["untrusted"], settings["judge"]
    return settings


def _of_rivals(node: str, rivals: RivalsSettings) -> Counted:
    counted = {
        "train_rivals": {"families", "budget"},
        "draw_from_rivals": {"pairs"},
        "put_rivals_to_work": {"ratio"},
        "draw_rivals_gallery": {"gallery_pairs"},
    }
    return rivals.model_dump(mode="json", include=counted[node])


def _of_labels(node: str, labels: LabelsSettings) -> Counted:
    return labels.model_dump(mode="json", include={"shares" if node == "cut_by_labels" else "ratio"})


_RULES: dict[type[BaseModel], Callable[[str, Any], Counted]] = {
    Workspace: _of_workspace,
    ComputeSettings: _of_compute,
    IngestionSettings: _of_ingestion,
    TilingSettings: _of_tiling,
    DatasetDescription: _of_description,
    FamilySettings: _of_family,
    ComparisonSettings: _of_comparison,
    SegmentationSettings: _of_segmentation,
    RivalsSettings: _of_rivals,
    LabelsSettings: _of_labels,
}
