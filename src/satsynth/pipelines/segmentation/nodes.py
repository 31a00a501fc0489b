"""What synthetic pairs are worth to segmentation networks."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import pandas as pd
import plotly.graph_objects as go

from satsynth.analysis.figures import class_gain_figure, ratio_figure
from satsynth.analysis.statistics import summarise
from satsynth.pairs.store import PairStore
from satsynth.pipelines.steps import RunSettings, require_parent
from satsynth.pipelines.trainings import Cell, segmentation_run, synthetic_rows
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings

log = logging.getLogger(__name__)


def grid(settings: SegmentationSettings) -> Iterable[Cell]:
    """Yield all trainings, seed by seed, so that an interrupted grid is balanced."""
    for seed in settings.seeds:
        for network in settings.networks:
            for ratio in settings.ratios:
                yield Cell(network, ratio, seed)


def run_grid(
    tiles: PairStore,
    synthetic_pairs: PairStore,
    segmentation: SegmentationSettings,
    compute: ComputeSettings,
    run: RunSettings,
) -> pd.DataFrame:
    """Train every network at every ratio with every seed, each for the same number of steps.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        segmentation: The grid.
        compute: Where.
        run: Where work is kept.

    Returns:
        The table `segmentation_runs`, a row a training.
    """
    require_parent(synthetic_pairs, "synthetic_pairs", tiles, "tiles", "kedro run --pipeline=sampling")
    cells = list(grid(segmentation))
    for cell in cells:
        synthetic_rows(cell, tiles.count("train"), synthetic_pairs.count())
    log.info("Segmentation: %d trainings of %d images each", len(cells), segmentation.training.images)
    rows = []
    for cell in cells:
        _, row = segmentation_run(cell, tiles, synthetic_pairs, segmentation, compute, run)
        log.info("%s: mIoU %.4f on real test scenes", cell.title, row["miou"])
        rows.append(row)
    return pd.DataFrame(rows)


def summarise_runs(segmentation_runs: pd.DataFrame) -> pd.DataFrame:
    """Summarise the runs by network and ratio.

    Args:
        segmentation_runs: A row a training.

    Returns:
        The table `segmentation_summary`.
    """
    return summarise(segmentation_runs)


def plot_ratios(segmentation_summary: pd.DataFrame) -> go.Figure:
    """Plot mIoU against R.

    Args:
        segmentation_summary: A row for each network and ratio.
    """
    return ratio_figure(segmentation_summary)


def plot_class_gains(segmentation_summary: pd.DataFrame, tiles: PairStore) -> go.Figure:
    """Plot the gain of each class against its frequency in real training pairs.

    Args:
        segmentation_summary: A row for each network and ratio.
        tiles: Real pairs.
    """
    counts = tiles.pixel_counts()[(tiles.index()["split"] == "train").to_numpy()].sum(0)
    return class_gain_figure(
        segmentation_summary, dict(zip(tiles.class_names, (counts / counts.sum()).tolist(), strict=True))
    )
