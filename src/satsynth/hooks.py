"""Kedro hooks: checks before a run, tracking during it, the summary after it."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from satsynth import tracking
from satsynth.diffusion.saved import SavedGenerator
from satsynth.diffusion.settings import SamplingSettings
from satsynth.pairs.store import PairStore
from satsynth.pipelines.parameters import did_you_mean, problems_of
from satsynth.pipelines.steps import RunSettings
from satsynth.scenes.description import DatasetDescription
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError, listing
from satsynth.work.finished import Finished
from satsynth.work.runs import RunLock

log = logging.getLogger(__name__)
_FILES = "parameters_dataset_"


class ProjectHooks:
    """Makes the project's folder known to the configuration and refuses what Kedro would let through."""

    def __init__(self) -> None:
        self._lock: RunLock | None = None

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
                "Choose one of them with --params=dataset=<name>, or describe your own: "
                "kedro satsynth describe <folder> --name <name>",
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
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Announce the run, and refuse missing inputs and a GPU that is not there before any work is done."""
        described = DatasetDescription.model_validate(catalog.load("parameters")["description"])
        log.info(
            "%s on %s (%s, %d classes), environment %s: %s",
            _pipelines(run_params),
            described.name,
            described.title,
            len(described.classes),
            run_params.get("env") or "base",
            f"{len(pipeline.nodes)} step" + ("s" if len(pipeline.nodes) > 1 else ""),
        )
        _require_inputs(pipeline, catalog)
        if self._lock is None:
            self._lock = RunLock(RunSettings.model_validate(catalog.load("params:run")).work)
        self._lock.acquire()
        compute = ComputeSettings.model_validate(catalog.load("parameters")["compute"])
        if compute.device == "cuda" and any("gpu" in node.tags for node in pipeline.nodes):
            from satsynth.training.device import choose_device

            choose_device(compute)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Take the announcement back."""
        self._release()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Take the announcement back."""
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _require_inputs(pipeline: Pipeline, catalog: CatalogProtocol) -> None:
    """Refuse a run that starts from what no run has made yet.

    Raises:
        SatSynthError: Something is missing; the message names the pipelines that make it.
    """
    data = [name for name in pipeline.inputs() if name != "parameters" and not name.startswith("params:")]
    missing = sorted(name for name in data if not catalog.exists(name))
    if missing:
        whole = ("augment", "__default__")
        makers = [name for name, made in pipelines.items() if name not in whole and made.all_outputs() & set(missing)]
        raise SatSynthError(
            f"This run starts from {', '.join(f'`{name}`' for name in missing)}, which no run has made yet.",
            "With the same --params and --env, run first: "
            + ", then ".join(f"kedro run --pipeline={name}" for name in makers)
            + "; or all at once: kedro run --pipeline=augment",
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
        local = f"sqlite:///{(self._project / 'mlflow.db').resolve()}"
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
            if key not in ("datasets", "project", "run", "tracking")
        }
        named = _pipelines(run_params)
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
        """Log digests as tags, pair stores as inputs, the generator as a model and figures that no report will hold."""
        if self._tracker is None:
            return
        if isinstance(data, Finished):
            self._tracker.tag(f"digest.{dataset_name}", data.digest)
        if isinstance(data, PairStore):
            self._tracker.inputs(**{dataset_name: data})
        elif isinstance(data, SavedGenerator):
            self._tracker.model(self._as_model(data))
        elif dataset_name.endswith(("_plot", "_curve")):
            # Each is nearly 5 MB, since it brings all of plotly.js with it; the report does so once for all.
            if not self._reports:
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
                    self._tracker.metrics("", round(row["ratio"] * 100), {f"miou.{arm_title(row)}": row["miou"]})
        self._close("FINISHED")
        if self._summary(outputs, catalog):
            dataset = catalog.load("parameters")["dataset"]
            viz = viz_command(run_params.get("env"), dataset if dataset != self._usual_dataset else None)
            click.echo(f"\nLook at the lineage with `{viz}`{_compare(self._where)}.")

    @hook_impl
    def on_pipeline_error(self) -> None:
        """End the parent run as failed."""
        self._close("FAILED")

    def _as_model(self, generator: SavedGenerator) -> tracking.ModelToLog:
        """Return a generator as a model, named by data set, and by environment where it is not the default."""
        where = "" if self._environment in ("base", "local") else f"-{self._environment}"
        return tracking.ModelToLog(
            f"{self._parameters['tracking']['experiment']}{where}-generator",
            "diffusion",
            generator,
            SamplingSettings.model_validate(self._parameters["sampling"]),
            ComputeSettings.model_validate(self._parameters["compute"]).precision,
        )

    def _close(self, status: str) -> None:
        if self._tracker is not None:
            self._tracker.close(status)
            self._where = self._tracker.where
            tracking.use(None)
            self._tracker = None

    def _summary(self, outputs: set[str], catalog: CatalogProtocol) -> bool:
        """Print scores and where files are; return whether there are any."""
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
                "class_gains",
                "network_comparison",
                "augmentation_comparison",
                "tiles_export",
                "synthetic_export",
            )
            if name in outputs
        ]
        if shown:
            click.echo("")
        for name in shown:
            click.echo(f"{name.replace('_', ' '):<24} {_path_of(catalog, name)}")
        return bool(shown)


def viz_command(environment: str | None, dataset: str | None) -> str:
    """Return the command that shows a run's results.

    Args:
        environment: The run's environment; none for the default one.
        dataset: The run's data set; none for the one that the environment takes by itself.
    """
    options = [] if environment in (None, "base", "local") else [f"--env={environment}"]
    options += [f"--params=dataset={dataset}"] if dataset else []
    return " ".join(["kedro viz run", *options]) if options else "make viz"


def _compare(where: str) -> str:
    if not where:
        return ""
    return " and compare runs with `make ui`" if where.startswith("sqlite:") else f" and compare runs at {where}"


def _path_of(catalog: Any, name: str) -> Path:
    return Path(catalog.get(name)._get_load_path())


def _pipelines(run_params: dict[str, Any]) -> str:
    return ", ".join(run_params.get("pipeline_names") or ["augment"])


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value
