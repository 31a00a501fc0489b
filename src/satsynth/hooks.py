"""Kedro hooks: checks before a run, tracking during it, the summary after it."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from satsynth import tracking
from satsynth.pipelines.parameters import did_you_mean, problems_of
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError, listing
from satsynth.work.finished import Finished

log = logging.getLogger(__name__)
_FILES = "parameters_dataset_"


class ProjectHooks:
    """Makes the project's folder known to the configuration and refuses what Kedro would let through."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check data set and top-level parameters.

        Raises:
            SatSynthError: An unknown data set, or a runtime parameter that no configuration knows.
        """
        loader: Any = context.config_loader
        given: dict[str, Any] = loader.runtime_params or {}
        names = sorted(
            path.stem.removeprefix(_FILES)
            for path in (Path(loader.conf_source) / loader.base_env).glob(f"{_FILES}*.yml")
        )
        dataset = given.get("dataset", loader["globals"].get("dataset"))
        if dataset not in names:
            raise SatSynthError(
                f"There is no data set '{dataset}'.{did_you_mean(str(dataset), names)} There are: {', '.join(names)}.",
                "Choose one of them with --params=dataset=<name>, or describe your own in "
                f"conf/base/{_FILES}<name>.yml.",
            )
        # Kedro merges runtime parameters into the configured ones, so what is configured is asked for without them.
        loader.runtime_params = {"dataset": dataset}
        known = sorted(set(loader["parameters"]) - {"project"})
        loader.runtime_params = {**given, "project": str(context.project_path)}
        for name in given:
            if name not in known:
                raise SatSynthError(
                    f"There is no parameter '{name}' (given by --params).{did_you_mean(name, known)}",
                    f"Parameters at the top: {', '.join(known)}.",
                )
        # All of them, also those of pipelines that do not run now.
        problems = problems_of(loader["parameters"])
        if problems:
            raise SatSynthError(
                f"{len(problems)} parameter(s) cannot be used:\n{listing(problems)}",
                "Correct them in conf/ or in --params.",
            )

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Refuse a GPU that is not there before any work is done."""
        compute = ComputeSettings.model_validate(catalog.load("parameters")["compute"])
        if compute.device == "cuda" and any("gpu" in node.tags for node in pipeline.nodes):
            from satsynth.training.device import choose_device

            choose_device(compute)


class TrackingHooks:
    """One MLflow run for each run of pipelines, and the closing summary."""

    def __init__(self) -> None:
        self._project = Path()
        self._tracker: tracking.Tracker | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember the project's folder."""
        self._project = Path(context.project_path)

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], catalog: CatalogProtocol) -> None:
        """Begin the parent run."""
        parameters: dict[str, Any] = catalog.load("parameters")
        settings = parameters["tracking"]
        if not settings["enabled"]:
            return
        import os

        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(self._project / 'mlflow.db').resolve()}"
        self._tracker = tracking.Tracker(uri, settings["experiment"], (self._project / "mlartifacts").resolve())
        tracking.use(self._tracker)
        shown = {
            key: _plain(value)
            for key, value in parameters.items()
            if key not in ("datasets", "project", "run", "tracking")
        }
        pipelines = ", ".join(run_params.get("pipeline_names") or ["augment"])
        tags = {
            "pipelines": pipelines,
            "environment": str(run_params.get("env") or "base"),
            "dataset": parameters["dataset"],
        }
        name = f"{pipelines} {parameters['dataset']} {datetime.now():%Y-%m-%d %H:%M}"
        self._tracker.start(name, tracking.flat(shown), {**tags, **tracking.git_tags(self._project)})

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Log digests as tags and figures as artifacts."""
        if self._tracker is None:
            return
        if isinstance(data, Finished):
            self._tracker.tag(f"digest.{dataset_name}", data.digest)
        elif dataset_name.endswith(("_plot", "_curve")):
            self._tracker.figure(data, f"figures/{dataset_name}.html")
        elif dataset_name in ("fidelity", "alignment", "memorisation"):
            self._tracker.metrics("", 0, tracking.numbers(data, f"{dataset_name}."))

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Log the outcome, end the parent run and print the summary."""
        outputs = pipeline.all_outputs()
        if self._tracker is not None:
            for name, folder in (("pair_gallery", "gallery"), ("closest_pairs", "gallery"), ("report", "report")):
                if name in outputs:
                    self._tracker.artifact(_path_of(catalog, name), folder)
            if "segmentation_summary" in outputs:
                from satsynth.analysis.statistics import arm_title

                for row in catalog.load("segmentation_summary").to_dict("records"):
                    name = f"miou.{arm_title(row)}".replace("%", " percent")
                    self._tracker.metrics("", round(row["ratio"] * 100), {name: row["miou"]})
        self._close("FINISHED")
        self._summary(outputs, catalog)

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """End the parent run as failed."""
        self._close("FAILED")

    def _close(self, status: str) -> None:
        if self._tracker is not None:
            self._tracker.close(status)
            tracking.use(None)
            self._tracker = None

    def _summary(self, outputs: set[str], catalog: CatalogProtocol) -> None:
        if "segmentation_summary" in outputs:
            from satsynth.analysis.statistics import in_words, printed

            summary = catalog.load("segmentation_summary")
            click.echo("\nmIoU on real test scenes (mean ± standard error over seeds):\n")
            click.echo(printed(summary))
            for sentence in in_words(summary):
                click.echo(f"\n{sentence}")
        shown = [
            name
            for name in (
                "report",
                "pair_gallery",
                "class_distribution_plot",
                "ratio_curve",
                "segmentation_summary",
                "tiles_export",
                "synthetic_export",
            )
            if name in outputs
        ]
        if shown:
            click.echo("")
        for name in shown:
            click.echo(f"{name.replace('_', ' '):<24} {_path_of(catalog, name)}")
        if shown:
            click.echo("\nLook at the lineage with `make viz` and compare runs with `make ui`.")


def _path_of(catalog: Any, name: str) -> Path:
    return Path(catalog.get(name)._get_load_path())


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value
