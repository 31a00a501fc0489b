"""Budgets of labels side by side: for each share of the training scenes, the steps of `augment` on them only."""

from __future__ import annotations

import logging

import pandas as pd
import plotly.graph_objects as go

from satsynth import tracking
from satsynth.analysis.report.figures import label_figure
from satsynth.analysis.report.kept import KeptSection
from satsynth.analysis.report.labels import Budget, budget_table, labels_section, rests_on
from satsynth.analysis.statistics.summary import arm_title
from satsynth.datasets.description import DatasetDescription
from satsynth.diffusion.starting_points import start_named
from satsynth.generation.families import FamilySettings
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.settings import GenerationSettings, SamplingSettings
from satsynth.pairs.labels import LABELS, alike_shares, require_no_names
from satsynth.pairs.settings import LabelsSettings, TilingSettings
from satsynth.pairs.store import PairStore
from satsynth.pipelines.diffusion.nodes import trained_generator
from satsynth.pipelines.families import chosen, takes_families
from satsynth.pipelines.grids import labels_grid, put_to_work
from satsynth.pipelines.sampling.nodes import draw_pairs
from satsynth.pipelines.tiling.nodes import cut_tiles
from satsynth.pipelines.tracked_trainings import TrackedTrainings
from satsynth.scenes.scene import scenes_from_frame
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.gathered import Gathered, gather
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)


def cut_by_labels(
    scenes: pd.DataFrame,
    description: DatasetDescription,
    tiling: TilingSettings,
    labels: LabelsSettings,
    compute: ComputeSettings,
    workspace: Workspace,
) -> Gathered:
    """Cut all scenes into pairs, once for each share of labels.

    Args:
        scenes: The table of scenes.
        description: The data set.
        tiling: How to cut, and in which order scenes are labelled.
        labels: The shares.
        compute: Number of workers.
        workspace: Folders of raw data and work.

    Returns:
        The `label_tiles`, a store in a folder of each share.

    Raises:
        SatSynthError: `tiling.label_scenes` names scenes.
    """
    require_no_names(tiling)
    cut: dict[str, PairStore] = {}
    for alike in alike_shares(list(scenes_from_frame(scenes)), labels.shares, tiling):
        share = alike[-1]
        name = f"{share:.12g}"
        if len(alike) > 1:
            others = ", ".join(f"{other:.12g}" for other in alike[:-1])
            log.info("Labels: the share(s) %s choose the same training scenes as %s and are left out", others, name)
        log.info("Labels: tiles with the share %s of the labels", name)
        asked = tiling.model_copy(update={"label_share": share})
        cut[name] = cut_tiles(scenes, description, asked, compute, workspace)
    return gather(workspace, "label_tiles", cut, {})


@takes_families
def train_by_labels(
    label_tiles: Gathered,
    generation: GenerationSettings,
    compute: ComputeSettings,
    workspace: Workspace,
    **families: FamilySettings,
) -> Gathered:
    """Train a generator for each share of labels, on its tiles only.

    Args:
        label_tiles: Real pairs by share.
        generation: Which family.
        compute: Where.
        workspace: Where work is kept.
        families: Parameters of each family.

    Returns:
        The `label_generators`, each in a folder of its share.
    """
    family, settings = chosen(generation.family, families)
    trained: dict[str, SavedGenerator] = {}
    for name, tiles in label_tiles.handles(PairStore).items():
        log.info("Labels: the generator of the share %s, %d of %d", name, len(trained) + 1, len(label_tiles.names))
        title = f"{_group(name)}: {family.name}"
        trained[name] = trained_generator(tiles, family, settings, compute, workspace, title)
    return gather(workspace, "label_generators", trained, {"label_tiles": label_tiles})


@takes_families
def draw_by_labels(
    label_generators: Gathered,
    label_tiles: Gathered,
    scenes: pd.DataFrame,
    description: DatasetDescription,
    generation: GenerationSettings,
    sampling: SamplingSettings,
    segmentation: SegmentationSettings,
    compute: ComputeSettings,
    workspace: Workspace,
    **families: FamilySettings,
) -> Gathered:
    """Draw synthetic pairs from the generator of each share of labels, some for each of its real training pairs.

    Args:
        label_generators: The generators by share.
        label_tiles: The real pairs that they were trained on.
        scenes: The scenes that these were cut from.
        description: The data set.
        generation: Which family.
        sampling: How many pairs, and where their masks come from.
        segmentation: Names the judge, which gives images without masks theirs.
        compute: Where.
        workspace: Where work is kept.
        families: Parameters of each family.

    Returns:
        The `label_pairs`, a store in a folder of each share.
    """
    tiles, drawn = label_tiles.handles(PairStore), dict[str, PairStore]()
    for name, generator in label_generators.handles(SavedGenerator).items():
        log.info("Labels: pairs from the generator of the share %s", name)
        drawn[name] = draw_pairs(
            generator,
            tiles[name],
            scenes,
            description,
            generation,
            sampling,
            segmentation,
            compute,
            workspace,
            **families,
        )
    return gather(workspace, "label_pairs", drawn, {"label_tiles": label_tiles})


def put_labels_to_work(
    label_tiles: Gathered,
    label_pairs: Gathered,
    scenes: pd.DataFrame,
    labels: LabelsSettings,
    segmentation: SegmentationSettings,
    compute: ComputeSettings,
    workspace: Workspace,
) -> pd.DataFrame:
    """Train networks on the real pairs of each share of labels, and on these and their synthetic pairs.

    Args:
        label_tiles: Real pairs by share.
        label_pairs: Synthetic pairs by share.
        scenes: The scenes that the real pairs were cut from.
        labels: At which R.
        segmentation: The grid.
        compute: Where.
        workspace: Where work is kept.

    Returns:
        The table `label_worth`, a row for each share, network and R.
    """
    settings, synthetic = labels_grid(labels, segmentation), label_pairs.handles(PairStore)
    summaries = {}
    for name, tiles in label_tiles.handles(PairStore).items():
        log.info("Labels: networks with the share %s of the labels", name)
        tracker = TrackedTrainings(_group(name), real=True)
        budget = Budget(float(name), _labelled(tiles, scenes), tiles.count("train"))
        summaries[budget] = put_to_work(tiles, synthetic[name], settings, compute, workspace, tracker)
    return budget_table(summaries)


def plot_labels(label_worth: pd.DataFrame) -> go.Figure:
    """Plot mIoU against the number of labelled scenes, without and with synthetic pairs.

    Args:
        label_worth: A row for each share, network and R.
    """
    return label_figure(label_worth)


def sum_up_labels(
    label_tiles: Gathered, label_generators: Gathered, label_worth: pd.DataFrame, label_curve: go.Figure
) -> KeptSection:
    """Write the section of the report on budgets of labels, and show each as a run in MLflow.

    Args:
        label_tiles: Real pairs by share.
        label_generators: The generators by share.
        label_worth: A row for each share, network and R.
        label_curve: Its figure.

    Returns:
        The section `label_findings`.
    """
    for share, part in label_worth.groupby("share"):
        name = f"{share:.12g}"
        values = {column: float(part[column].iloc[0]) for column in ("labelled_scenes", "real_pairs")}
        for _, row in part.iterrows():
            values[f"{'miou' if row['ratio'] else 'miou_real'}.{arm_title(dict(row))}"] = float(row["miou"])
        tracking.active_tracker().finished(f"worth of {_group(name)}", {"share": name}, values)
    tiles = {name: label_tiles.parents[name] for name in label_tiles.names}
    generators = label_generators.handles(SavedGenerator).items()
    starts = {name: start_named(generator) for name, generator in generators}
    return KeptSection(labels_section(label_worth, label_curve, starts), rests_on(tiles, label_worth))


def _group(name: str) -> str:
    """Return what the runs of a share are called in MLflow."""
    return f"share {name}"


def _labelled(tiles: PairStore, scenes: pd.DataFrame) -> int:
    """Return the number of labelled training scenes that tiles were cut from."""
    labels = tiles.manifest.get(LABELS)
    return len(labels["used"]) if labels else int(scenes.loc[scenes["split"] == "train", "scene_id"].nunique())
