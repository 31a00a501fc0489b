"""All parameter models by their name in the configuration, and problems with them in words."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, get_args

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


def did_you_mean(name: str, known: list[str]) -> str:
    """Return a sentence that names the nearest known name, or nothing."""
    close = difflib.get_close_matches(name, known, 1)
    return f" Did you mean '{close[0]}'?" if close else ""


def problems_of(parameters: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the parameters, a line each, naming them as `a.b.c`."""
    found = []
    for name, model in MODELS.items():
        try:
            model.model_validate(parameters.get(name) or {})
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                where = [str(part) for part in problem["loc"]]
                if problem["type"] == "extra_forbidden":
                    text = f"there is no such parameter.{did_you_mean(where[-1], _fields(model, where[:-1]))}"
                else:
                    text = f"{problem['msg'].removeprefix('Value error, ')}; found {problem['input']!r}"[:500]
                found.append(f"`{'.'.join([name, *where])}`: {text}")
    return found


def _fields(model: Any, path: list[str]) -> list[str]:
    """Return the fields of the model at a path, as far as it can be followed."""
    for part in path:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
        if part not in model.model_fields:
            continue
        annotation = model.model_fields[part].annotation
        inner = [kind for kind in get_args(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        model = inner[0] if inner else annotation
    return sorted(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
