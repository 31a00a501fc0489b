"""Checks before a run: what Kedro itself would let through."""

from __future__ import annotations

import logging
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from satsynth.configuration import DESCRIPTIONS, dataset_names
from satsynth.datasets.description import DatasetDescription
from satsynth.hooks import activity
from satsynth.hooks.beforehand import Plan
from satsynth.hooks.summary import pipeline_names
from satsynth.hooks.versions import choose_versions
from satsynth.pairs.store import PairStore
from satsynth.pipelines.parameters import problems_of
from satsynth.training.settings import ComputeSettings
from satsynth.work.checking import did_you_mean
from satsynth.work.errors import SatSynthError, listing
from satsynth.work.gathered import Gathered
from satsynth.work.runs import RunLock
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)
# Entries that hold real pairs: one store, or one for each share of labels.
_REAL_PAIRS = {"tiles", "label_tiles"}


class ProjectHooks:
    """Makes the project's folder known to the configuration and refuses what Kedro would let through."""

    def __init__(self) -> None:
        self._lock: RunLock | None = None
        self._plan: Plan | None = None
        # Of the run's own copies of entries that other runs may overwrite.
        self._copies: Path | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check data set and top-level parameters.

        Raises:
            SatSynthError: A configuration that is no folder, an unknown data set, or a runtime parameter that no
                configuration knows.
        """
        loader: Any = context.config_loader
        given: dict[str, Any] = loader.runtime_params or {}
        folder = Path(loader.conf_source) / loader.base_env
        if not folder.is_dir():
            raise SatSynthError(
                f"The configuration {loader.conf_source} is no folder that holds {loader.base_env}/.",
                "Name such a folder by --conf-source; unpack an archive of `kedro package` first.",
            )
        names = dataset_names(folder)
        dataset = given.get("dataset", loader["globals"].get("dataset"))
        if dataset not in names:
            raise SatSynthError(
                f"There is no data set '{dataset}'.{did_you_mean(str(dataset), names)} There are: {', '.join(names)}.",
                "Choose one of them with --params=dataset=<name>, or describe your own: "
                "kedro satsynth describe <folder> --name <name>",
            )
        # Kedro merges runtime parameters into the configured ones, so what is configured is asked for without them.
        loader.runtime_params = {"dataset": dataset}
        known = sorted(set(loader["parameters"]) - {"project", "run"})
        loader.runtime_params = {**given, "project": str(context.project_path), "run": uuid.uuid4().hex}
        for name in given:
            if name not in known:
                raise SatSynthError(
                    f"There is no parameter '{name}' (given by --params).{did_you_mean(name, known)}",
                    f"Parameters at the top: {', '.join(known)}.",
                )
        # All of them, also those of pipelines that do not run now.
        problems = problems_of(loader["parameters"])
        if problems:
            described = any(problem.startswith("`description") for problem in problems)
            place = f"; `description` is in {folder / f'{DESCRIPTIONS}{dataset}.yml'}" if described else ""
            raise SatSynthError(
                f"{len(problems)} parameter(s) cannot be used:\n{listing(problems)}",
                f"Correct them in conf/ or in --params{place}.",
            )
        _require_heeded(given, loader["parameters"]["segmentation"]["training"])

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Announce the run, and refuse missing inputs and a GPU that is not there before any work is done."""
        described = DatasetDescription.model_validate(catalog.load("parameters")["description"])
        log.info(
            "%s on %s (%s, %d classes), environment %s: %s",
            pipeline_names(run_params),
            described.name,
            described.title,
            len(described.classes),
            run_params.get("env") or "base",
            f"{len(pipeline.nodes)} step" + ("s" if len(pipeline.nodes) > 1 else ""),
        )
        _require_inputs(pipeline, catalog)
        self._plan = Plan(frozenset(tag for node in pipeline.nodes for tag in node.tags), catalog.load("parameters"))
        self._plan.require_ready()
        self._copies = choose_versions(run_params, pipeline, catalog, dict(pipelines))
        if self._lock is None:
            self._lock = RunLock(Workspace.model_validate(catalog.load("params:workspace")).work)
        self._lock.acquire()
        compute = ComputeSettings.model_validate(catalog.load("parameters")["compute"])
        if compute.device == "cuda" and any("gpu" in node.tags for node in pipeline.nodes):
            from satsynth.training.device import choose_device, require_gpus

            choose_device(compute)
            if any({"diffusion", "rivals", "labels"} & set(node.tags) for node in pipeline.nodes):
                require_gpus(compute)
        self._require_pairs({name: catalog.load(name) for name in _REAL_PAIRS & pipeline.inputs()})

    @hook_impl
    def after_node_run(self, outputs: dict[str, Any]) -> None:
        """Check what depends on the tiles as soon as they are there, before anything is trained on them."""
        self._require_pairs(outputs)

    @hook_impl
    def before_dataset_loaded(self, dataset_name: str, node: Node) -> None:
        """Note what is being done."""
        activity.begin(f"loading `{dataset_name}` for the step `{node.name}`")

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Note what is being done."""
        activity.begin(f"the step `{node.name}`")

    @hook_impl
    def before_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Note what is being done."""
        activity.begin(f"saving `{dataset_name}`, made by the step `{node.name}`")

    @hook_impl
    def on_node_error(self, node: Node) -> None:
        """Note which step failed: with threads another one may have begun since."""
        activity.begin(f"the step `{node.name}`")

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Take the announcement back, when others have read what the run has made."""
        activity.end()
        self._release()

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        """Take the announcement back."""
        self._release()

    def _require_pairs(self, found: Mapping[str, Any]) -> None:
        """Check the real pairs among what was loaded or made."""
        if self._plan is None:
            return
        for name in sorted(_REAL_PAIRS & found.keys()):
            tiles: PairStore | Gathered = found[name]
            stores = [tiles] if isinstance(tiles, PairStore) else list(tiles.handles(PairStore).values())
            for store in stores:
                self._plan.require_pairs(store)
            # All have the same test scenes.
            if sentence := self._plan.foresight(stores[0]):
                log.info("Plan: %s", sentence)

    def _release(self) -> None:
        if self._copies is not None:
            shutil.rmtree(self._copies, ignore_errors=True)
            self._copies = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _require_heeded(given: Mapping[str, Any], training: Mapping[str, Any]) -> None:
    """Refuse a budget of networks in epochs that is given by the command where one in images decides."""
    asked = given.get("segmentation", {}).get("training") or {}
    named = [name for name in ("epochs", "least_steps") if name in asked]
    if named and training.get("images") is not None:
        raise SatSynthError(
            f"`segmentation.training.{named[0]}` is given by --params, but `segmentation.training.images` is "
            f"{training['images']}, which decides alone.",
            "Give `segmentation.training.images=null` as well, or give the budget in images.",
        )


def _require_inputs(pipeline: Pipeline, catalog: CatalogProtocol) -> None:
    """Refuse a run that starts from what no run has made yet.

    Raises:
        SatSynthError: Something is missing; the message names the pipelines that make it.
    """
    data = [name for name in pipeline.inputs() if name != "parameters" and not name.startswith("params:")]
    missing = sorted(name for name in data if not catalog.exists(name))
    if missing:
        parts = {name: made for name, made in pipelines.items() if name not in ("augment", "__default__")}
        first = {next(name for name, made in parts.items() if entry in made.all_outputs()) for entry in missing}
        makers = [name for name in parts if name in first]
        raise SatSynthError(
            f"This run starts from {', '.join(f'`{name}`' for name in missing)}, which no run has made yet.",
            "With the same --params and --env, run first: "
            + ", then ".join(f"kedro run --pipeline={name}" for name in makers)
            + "; or all at once: kedro run --pipeline=augment",
        )
