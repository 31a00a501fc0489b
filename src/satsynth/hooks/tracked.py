"""Tracking during a run, and the words at its end."""

from __future__ import annotations

import logging
import multiprocessing
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from satsynth import tracking
from satsynth.diffusion.starting_points import start_named
from satsynth.generation.families import family_of
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.settings import SamplingSettings
from satsynth.hooks.summary import comparison_place, path_of, pipeline_names, print_summary, viz_command
from satsynth.pairs.store import PairStore
from satsynth.tracking.local import file_uri
from satsynth.training.settings import ComputeSettings
from satsynth.work.finished import Finished
from satsynth.work.placement import PartDone

log = logging.getLogger(__name__)
# Entries whose files are logged, and the folder there.
_FILES = (
    ("pair_gallery", "gallery"),
    ("closest_pairs", "gallery"),
    ("generator_gallery", "gallery"),
    ("generator_comparison", "rivals"),
    ("generator_worth", "rivals"),
    ("label_worth", "labels"),
    ("report", "report"),
)


class TrackingHooks:
    """One MLflow run for each run of pipelines, and the closing summary."""

    def __init__(self) -> None:
        self._project = Path()
        self._tracker: tracking.Tracker | None = None
        self._parameters: dict[str, Any] = {}
        self._environment = ""
        self._reports = False
        self._where = ""
        self._usual_dataset = ""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember the project's folder and the data set of a run that names none."""
        self._project = Path(context.project_path)
        loader: Any = context.config_loader
        self._usual_dataset = loader["globals"].get("dataset", "")

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Begin the parent run."""
        parameters: dict[str, Any] = catalog.load("parameters")
        settings = parameters["tracking"]
        self._where = ""
        if not settings["enabled"]:
            return
        local = file_uri((self._project / "mlflow.db").resolve())
        self._tracker = tracking.Tracker(
            os.environ.get("MLFLOW_TRACKING_URI") or local,
            settings["experiment"],
            (self._project / "mlartifacts").resolve(),
            local,
        )
        tracking.use(self._tracker)
        shown = {
            key: _plain(value)
            for key, value in parameters.items()
            if key not in ("datasets", "project", "run", "workspace", "tracking")
        }
        named = pipeline_names(run_params)
        tags = {
            "pipelines": named,
            "environment": str(run_params.get("env") or "base"),
            "dataset": parameters["dataset"],
        }
        name = f"{named} {parameters['dataset']} {datetime.now():%Y-%m-%d %H:%M}"
        project = self._project
        self._tracker.start(
            name,
            tracking.flat(shown),
            tags,
            lambda: {**tracking.machine_tags(), **tracking.git_tags(project)},
        )
        if "ParallelRunner" in str(run_params.get("runner")):
            if multiprocessing.get_context(os.environ.get("KEDRO_MP_CONTEXT")).get_start_method() == "fork":
                self._tracker.share()
            else:
                log.warning(
                    "Trainings are not tracked: ParallelRunner starts processes that know nothing of this run. Run "
                    "with --runner=SequentialRunner, or set KEDRO_MP_CONTEXT=fork where the system has it."
                )
        self._parameters = parameters
        self._environment = tags["environment"]
        self._reports = "report" in pipeline.all_outputs()

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Log pair stores that a node reads as inputs of the run."""
        if self._tracker is not None and isinstance(data, PairStore):
            self._tracker.inputs(**{dataset_name: data})

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Log digests and starts as tags, pairs as inputs, the generator as a model, figures that no report holds."""
        if self._tracker is None:
            return
        if isinstance(data, Finished):
            self._tracker.tag(f"digest.{dataset_name}", data.digest)
        if isinstance(data, PairStore):
            self._tracker.inputs(**{dataset_name: data})
        elif isinstance(data, SavedGenerator):
            if start := start_named(data):
                self._tracker.tag("started_from", start)
            self._tracker.model(self._as_model(data))
        elif dataset_name.endswith(("_plot", "_curve")):
            # Each is nearly 5 MB, since it brings all of plotly.js with it; the report does so once for all.
            if not self._reports:
                self._tracker.figure(data, f"figures/{dataset_name}.html")
        elif dataset_name == "fidelity":
            rows = zip(data["measure"], data["set"], data["value"], strict=True)
            self._tracker.metrics("", 0, {f"fidelity.{measure}.{name}": float(value) for measure, name, value in rows})
        elif dataset_name in ("alignment", "memorisation"):
            self._tracker.metrics("", 0, tracking.numbers(data, f"{dataset_name}."))

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Log the outcome, end the parent run and print the summary."""
        outputs = pipeline.all_outputs()
        if self._tracker is not None:
            for name, folder in _FILES:
                if name in outputs:
                    self._tracker.artifact(path_of(catalog, name), folder)
            if "segmentation_summary" in outputs:
                from satsynth.analysis.statistics.summary import arm_title

                for row in catalog.load("segmentation_summary").to_dict("records"):
                    self._tracker.metrics("", round(row["ratio"] * 100), {f"miou.{arm_title(row)}": row["miou"]})
        self._close("FINISHED")
        if print_summary(outputs, catalog):
            dataset = catalog.load("parameters")["dataset"]
            viz = viz_command(run_params.get("env"), dataset if dataset != self._usual_dataset else None)
            click.echo(f"\nLook at the lineage with `{viz}`{comparison_place(self._where)}.")

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """End the parent run as failed, unless it has done its share of a step."""
        self._close("FINISHED" if isinstance(error, PartDone) else "FAILED")

    def _as_model(self, generator: SavedGenerator) -> tracking.ModelToLog:
        """Return a generator as a model, named by data set, and by environment where it is not the default."""
        where = "" if self._environment in ("base", "local") else f"-{self._environment}"
        family = family_of(generator.family)
        settings = family.settings.model_validate(self._parameters[generator.family])
        return tracking.ModelToLog(
            f"{self._parameters['tracking']['experiment']}{where}-generator",
            generator.family,
            generator,
            settings,
            SamplingSettings.model_validate(self._parameters["sampling"]).settled(family.paints(settings)),
            ComputeSettings.model_validate(self._parameters["compute"]).precision,
        )

    def _close(self, status: str) -> None:
        if self._tracker is not None:
            self._tracker.close(status)
            self._where = self._tracker.where
            tracking.use(None)
            self._tracker = None


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value
