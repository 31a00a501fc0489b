"""Families of generators side by side: each is trained, drawn from, compared and put to work by the same steps."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager

import numpy as np
import pandas as pd

from satsynth import tracking
from satsynth.analysis.measures.table import Row
from satsynth.analysis.report.gallery import side_by_side
from satsynth.analysis.report.generators import (
    REAL,
    comparison_rows,
    comparison_table,
    generators_section,
    real_rows,
    worth_table,
)
from satsynth.analysis.report.kept import KeptSection
from satsynth.analysis.settings import ComparisonSettings
from satsynth.analysis.statistics.summary import arm_title
from satsynth.datasets.description import DatasetDescription
from satsynth.generation.budgets import with_budget
from satsynth.generation.families import FamilySettings, Report
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.settings import GenerationSettings, RivalsSettings, SamplingSettings
from satsynth.generation.together import train_together
from satsynth.measuring import SYNTHETIC, evenly
from satsynth.pairs.cache import decoded
from satsynth.pairs.store import PairStore
from satsynth.pipelines.comparison.nodes import find_copies, measure_alignment, measure_fidelity
from satsynth.pipelines.diffusion.nodes import make_generator, tracked_report
from satsynth.pipelines.families import chosen, takes_families
from satsynth.pipelines.grids import put_to_work, rivals_grid
from satsynth.pipelines.sampling.nodes import draw_pairs
from satsynth.pipelines.tracked_trainings import TrackedTrainings
from satsynth.segmentation.saved import SavedNetwork
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests
from satsynth.work.finished import Finished
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.gathered import Gathered, gather
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)


@takes_families
def train_rivals(
    tiles: PairStore,
    rivals: RivalsSettings,
    compute: ComputeSettings,
    workspace: Workspace,
    **families: FamilySettings,
) -> Gathered:
    """Train a generator of each family, with equal budgets.

    Args:
        tiles: Real pairs; the split `train` is used.
        rivals: Which families, and their budget.
        compute: Where.
        workspace: Where work is kept.
        families: Parameters of each family.

    Returns:
        The `rival_generators`, each in a folder of its family.
    """
    budgeted = dict(families)
    for name in rivals.families:
        family, settings = chosen(name, families)
        budgeted[name] = with_budget(family, settings, rivals.budget, tiles, compute, workspace)
    together: dict[str, WorkFolder] = {}
    if compute.engine == "ray":
        asked = {name: budgeted[name] for name in rivals.families}

        def reported(name: str, step: Step, folder: WorkFolder) -> AbstractContextManager[Report]:
            return tracked_report(name, step, folder, tiles)

        together = train_together(asked, tiles, compute, workspace, reported)
    trained: dict[str, Finished] = {}
    for name in rivals.families:
        log.info("Rivals: the generator of '%s', %d of %d", name, len(trained) + 1, len(rivals.families))
        trained[name] = (
            SavedGenerator(together[name].result)
            if name in together
            else make_generator(tiles, GenerationSettings(family=name), compute, workspace, **budgeted)
        )
    return gather(workspace, "rival_generators", trained, {"tiles": tiles})


@takes_families
def draw_from_rivals(
    rival_generators: Gathered,
    tiles: PairStore,
    scenes: pd.DataFrame,
    description: DatasetDescription,
    rivals: RivalsSettings,
    sampling: SamplingSettings,
    segmentation: SegmentationSettings,
    compute: ComputeSettings,
    workspace: Workspace,
    **families: FamilySettings,
) -> Gathered:
    """Draw as many pairs from each generator.

    Args:
        rival_generators: The generators.
        tiles: The real pairs that they were trained on.
        scenes: The scenes that these were cut from.
        description: The data set.
        rivals: How many pairs.
        sampling: How they are drawn.
        segmentation: Names the judge, which gives images without masks theirs.
        compute: Where.
        workspace: Where work is kept.
        families: Parameters of each family.

    Returns:
        The `rival_pairs`, a store in a folder of each family.
    """
    asked = rivals.sampling_of(sampling, tiles.count("train"))
    drawn: dict[str, Finished] = {
        name: draw_pairs(
            generator,
            tiles,
            scenes,
            description,
            GenerationSettings(family=name),
            asked,
            segmentation,
            compute,
            workspace,
            **families,
        )
        for name, generator in rival_generators.handles(SavedGenerator).items()
    }
    return gather(workspace, "rival_pairs", drawn, {"tiles": tiles})


def compare_rivals(
    tiles: PairStore,
    rival_generators: Gathered,
    rival_pairs: Gathered,
    judge: SavedNetwork,
    description: DatasetDescription,
    comparison: ComparisonSettings,
    compute: ComputeSettings,
    workspace: Workspace,
) -> pd.DataFrame:
    """Measure the pairs of each family: fidelity, masks, alignment, copies, and what they cost (the paper's Table 1a).

    Args:
        tiles: Real pairs.
        rival_generators: The generators.
        rival_pairs: Their pairs.
        judge: The network whose features and masks are used.
        description: The data set.
        comparison: Which optional measures are switched on.
        compute: Where.
        workspace: Where work is kept.

    Returns:
        The table `generator_comparison`, a row for each set of pairs and measure.
    """
    rows: list[Row] = []
    for name, store in rival_pairs.handles(PairStore).items():
        log.info("Rivals: the pairs of '%s'", name)
        fidelity = measure_fidelity(tiles, store, judge, comparison, compute, workspace)
        alignment = measure_alignment(tiles, store, judge, compute, workspace)
        _, memorisation = find_copies(tiles, store, judge, compute, workspace)
        generator = SavedGenerator(rival_generators.member(name))
        work = {
            "layouts.real": float(store.manifest.get("layouts") == "real"),
            "training.images": generator.manifest.get("images"),
            "training.seconds": generator.seconds,
            "drawing.seconds": store.seconds,
        }
        rows += comparison_rows(name, fidelity, alignment, memorisation, work)
    # Real sets are the same beside every family.
    rows += real_rows(fidelity, alignment)
    return comparison_table(rows, description.name, tiles.tile_size)


def put_rivals_to_work(
    tiles: PairStore,
    rival_pairs: Gathered,
    description: DatasetDescription,
    rivals: RivalsSettings,
    segmentation: SegmentationSettings,
    compute: ComputeSettings,
    workspace: Workspace,
) -> pd.DataFrame:
    """Train networks on real pairs, on these and synthetic ones, and on synthetic ones only (the paper's Table 1b).

    Args:
        tiles: Real pairs.
        rival_pairs: The pairs of each family.
        description: The data set.
        rivals: At which R.
        segmentation: The grid.
        compute: Where.
        workspace: Where work is kept.

    Returns:
        The table `generator_worth`, a row for each family, network and use of its pairs.
    """
    settings, summaries = rivals_grid(rivals, segmentation), {}
    for name, store in rival_pairs.handles(PairStore).items():
        log.info("Rivals: what the pairs of '%s' are worth", name)
        summaries[name] = put_to_work(tiles, store, settings, compute, workspace, TrackedTrainings(name))
    networks = {name: (network.architecture, network.encoder) for name, network in settings.networks.items()}
    return worth_table(summaries, description.name, networks, tiles.tile_size)


def draw_rivals_gallery(
    tiles: PairStore, rival_pairs: Gathered, rivals: RivalsSettings, workspace: Workspace
) -> np.ndarray:
    """Draw pairs of each family beside real ones, chosen evenly, not by looks.

    Args:
        tiles: Real pairs.
        rival_pairs: The pairs of each family.
        rivals: How many.
        workspace: Where work is kept.

    Returns:
        The picture `generator_gallery`.
    """
    drawn = rival_pairs.handles(PairStore)
    sets = {"real": (tiles, "train")} | {name: (store, SYNTHETIC) for name, store in drawn.items()}
    shown = {}
    for title, (store, split) in sets.items():
        pairs = decoded(store, split, workspace.work)
        shown[title] = [pairs[int(i)] for i in evenly(len(pairs), rivals.gallery_pairs)]
    return side_by_side(shown, tiles.class_names, tiles.colors, columns=1)


def sum_up_rivals(
    tiles: PairStore,
    judge: SavedNetwork,
    generator_comparison: pd.DataFrame,
    generator_worth: pd.DataFrame,
    generator_gallery: np.ndarray,
) -> KeptSection:
    """Write the section of the report that compares the families, and show each as a run in MLflow.

    Args:
        tiles: Real pairs.
        judge: The network whose features and masks are used.
        generator_comparison: A row for each set of pairs and measure.
        generator_worth: A row for each family, network and use of its pairs.
        generator_gallery: Pairs of each family.

    Returns:
        The section `generator_findings`.
    """
    for name in (name for name in dict.fromkeys(generator_worth["family"]) if name != REAL):
        measured = generator_comparison[generator_comparison["set"] == name]
        values = dict(zip(measured["measure"], measured["value"].astype(float), strict=True))
        worth = generator_worth[generator_worth["family"] == name].drop(columns="family")
        values |= {f"miou.{arm_title(dict(row))}": float(row["miou"]) for _, row in worth.iterrows()}
        tracking.active_tracker().finished(f"pairs of {name}", {"family": name}, values)
    section = generators_section(generator_comparison, generator_worth, generator_gallery)
    return KeptSection(section, digests(tiles=tiles, judge=judge))
