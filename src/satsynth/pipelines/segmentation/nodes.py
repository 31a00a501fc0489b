"""What synthetic pairs are worth to segmentation networks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from satsynth.analysis.report.comparisons import augmentation_rows, network_rows
from satsynth.analysis.report.figures import class_gain_figure, ratio_figure
from satsynth.analysis.statistics.summary import gains_by_class, summarise
from satsynth.datasets.description import DatasetDescription
from satsynth.pairs.store import PairStore
from satsynth.pipelines.trainings import POOL, Cell, segmentation_run, step_of
from satsynth.segmentation.arms import arms
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import require_parent
from satsynth.work.remembered import is_remembered
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)


def grid(settings: SegmentationSettings) -> Iterable[Cell]:
    """Yield all trainings, seed by seed, so that an interrupted grid is balanced."""
    for seed in settings.seeds:
        for network in settings.networks:
            for arm in arms(settings):
                yield Cell(network, arm, seed)


def run_grid(
    tiles: PairStore,
    synthetic_pairs: PairStore,
    segmentation: SegmentationSettings,
    compute: ComputeSettings,
    workspace: Workspace,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train every network in every arm with every seed.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        segmentation: The grid.
        compute: Where.
        workspace: Where work is kept.

    Returns:
        The tables `segmentation_runs`, a row a training, and `scene_confusion`, a row a training and test scene.
    """
    require_parent(synthetic_pairs, "synthetic_pairs", tiles, "tiles", "kedro run --pipeline=sampling")
    cells = list(grid(segmentation))
    steps = [step_of(cell, tiles, synthetic_pairs, segmentation, compute)[0] for cell in cells]
    missing = [cell for cell, step in zip(cells, steps, strict=True) if not is_remembered(workspace, step)]
    _show_plan(cells, missing, tiles, segmentation, compute)
    _show_shared(synthetic_pairs.count(), tiles.count("train"), segmentation)
    rows: list[dict[str, Any]] = []
    scenes: list[dict[str, Any]] = []
    for number, cell in enumerate(cells, 1):
        folder, row = segmentation_run(cell, tiles, synthetic_pairs, segmentation, compute, workspace)
        log.info("%d of %d, %s: mIoU %.4f on real test scenes", number, len(cells), cell.title, row["miou"])
        rows.append(row)
        scenes += [
            {**cell.facts, "scene_id": scene, "confusion": np.ravel(matrix).tolist()}
            for scene, matrix in sorted(folder.manifest()["confusion"].items())
        ]
    return pd.DataFrame(rows), pd.DataFrame(scenes)


def _show_plan(
    cells: Sequence[Cell],
    missing: Sequence[Cell],
    tiles: PairStore,
    settings: SegmentationSettings,
    compute: ComputeSettings,
) -> None:
    """Log what will be trained, and how long that takes by a few steps of each network."""
    named = ", ".join(dict.fromkeys(f"{cell.network} {cell.arm.title}" for cell in cells))
    log.info("Segmentation: %d trainings, each with seeds %s: %s", len(cells), list(settings.seeds), named)
    if not missing:
        log.info("Segmentation: all were done before")
        return
    from satsynth.segmentation.training import seconds_an_image
    from satsynth.training.device import choose_device, describe_device

    images: dict[str, int] = {}
    for cell in missing:
        images[cell.network] = images.get(cell.network, 0) + cell.arm.images(settings.training)
    rates = {
        name: seconds_an_image(
            settings.networks[name], len(tiles.class_names), tiles.tile_size, settings.training.batch_size, compute
        )
        for name in images
    }
    minutes = sum(rates[name] * number for name, number in images.items()) / 60
    device = describe_device(choose_device(compute))
    log.info("Segmentation: %d of them are new, about %.1f minutes on %s", len(missing), minutes, device)


def _show_shared(available: int, real: int, settings: SegmentationSettings) -> None:
    """Log at which ratios the seeds have too few synthetic pairs to draw sets of their own."""
    largest = max(settings.ratios)
    shared = [ratio for ratio in settings.ratios if available < POOL * round(ratio * real)]
    if shared and len(settings.seeds) > 1:
        log.info(
            "Segmentation: at R = %s the seeds share most synthetic pairs, or all; `sampling.ratio` from %g on, "
            "without `sampling.max_pairs`, gives each its own",
            ", ".join(f"{ratio:g}" for ratio in shared),
            POOL * largest,
        )


def summarise_runs(segmentation_runs: pd.DataFrame, scene_confusion: pd.DataFrame) -> pd.DataFrame:
    """Summarise the runs by arm and ratio.

    Args:
        segmentation_runs: A row a training.
        scene_confusion: A row a training and test scene.

    Returns:
        The table `segmentation_summary`.
    """
    from satsynth.segmentation.metrics import class_iou

    return summarise(segmentation_runs, scene_confusion, class_iou)


def compare_class_gains(
    segmentation_runs: pd.DataFrame, scene_confusion: pd.DataFrame, tiles: PairStore
) -> pd.DataFrame:
    """Compare the IoU of each class with that at R = 0 (the paper's Table 6).

    Args:
        segmentation_runs: A row a training.
        scene_confusion: A row a training and test scene.
        tiles: Real pairs, for the share of each class.

    Returns:
        The table `class_gains`.
    """
    from satsynth.segmentation.metrics import class_iou

    counts = tiles.pixel_counts()[(tiles.index()["split"] == "train").to_numpy()].sum(0)
    shares = dict(zip(tiles.class_names, (counts / counts.sum()).tolist(), strict=True))
    return gains_by_class(segmentation_runs, scene_confusion, class_iou, shares)


def compare_networks(
    segmentation_summary: pd.DataFrame,
    tiles: PairStore,
    description: DatasetDescription,
    segmentation: SegmentationSettings,
) -> pd.DataFrame:
    """Compare networks without and with synthetic pairs, beside the paper's figures (its Tables 1b and 2).

    Args:
        segmentation_summary: A row for each arm and ratio.
        tiles: Real pairs, for the size of tiles.
        description: The data set.
        segmentation: The grid, for architectures and encoders.

    Returns:
        The table `network_comparison`.
    """
    networks = {name: (network.architecture, network.encoder) for name, network in segmentation.networks.items()}
    return network_rows(segmentation_summary, description.name, networks, tiles.tile_size)


def compare_augmentations(segmentation_runs: pd.DataFrame, scene_confusion: pd.DataFrame) -> pd.DataFrame:
    """Compare augmentations alone and together with synthetic pairs (the paper's Table 5).

    Args:
        segmentation_runs: A row a training.
        scene_confusion: A row a training and test scene.

    Returns:
        The table `augmentation_comparison`.
    """
    from satsynth.segmentation.metrics import class_iou

    return augmentation_rows(segmentation_runs, scene_confusion, class_iou)


def plot_ratios(segmentation_summary: pd.DataFrame) -> go.Figure:
    """Plot mIoU against R.

    Args:
        segmentation_summary: A row for each arm and ratio.
    """
    return ratio_figure(segmentation_summary)


def plot_class_gains(class_gains: pd.DataFrame) -> go.Figure:
    """Plot the gain of each class against its frequency in real training pairs.

    Args:
        class_gains: A row for each arm, ratio and class.
    """
    return class_gain_figure(class_gains)
