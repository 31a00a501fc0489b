"""All parameter models by their name in the configuration, and problems with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from satsynth.analysis.settings import ComparisonSettings
from satsynth.datasets.description import DatasetDescription
from satsynth.fetching.settings import DownloadSettings
from satsynth.generation.settings import GenerationSettings, LabellingSettings, RivalsSettings, SamplingSettings
from satsynth.pairs.settings import ExportSettings, LabelsSettings, TilingSettings
from satsynth.pipelines.families import family_models
from satsynth.scenes.settings import IngestionSettings
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.checking import problems_in
from satsynth.work.frozen import Frozen
from satsynth.work.workspace import Workspace


class TrackingSettings(Frozen):
    """Tracking in MLflow."""

    enabled: bool = Field(default=True, description="Whether runs are tracked.")
    experiment: str = Field(description="Name of the experiment.", min_length=1)


MODELS: dict[str, type[BaseModel]] = {
    "description": DatasetDescription,
    "workspace": Workspace,
    "compute": ComputeSettings,
    "ingestion": IngestionSettings,
    "tiling": TilingSettings,
    "generation": GenerationSettings,
    **family_models(),
    "sampling": SamplingSettings,
    "rivals": RivalsSettings,
    "labels": LabelsSettings,
    "labelling": LabellingSettings,
    "comparison": ComparisonSettings,
    "segmentation": SegmentationSettings,
    "export": ExportSettings,
    "download": DownloadSettings,
    "tracking": TrackingSettings,
}


def problems_of(parameters: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the parameters, a line each, naming them as `a.b.c`."""
    found: list[str] = []
    for name, model in MODELS.items():
        try:
            # What is not there has its defaults; what is there must be a group.
            model.model_validate(parameters.get(name, {}))
        except ValidationError as error:
            found += problems_in(name, model, error)
    return found
