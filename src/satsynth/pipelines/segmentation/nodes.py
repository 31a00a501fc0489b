"""What synthetic pairs are worth to segmentation networks."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from satsynth.analysis.report.comparisons import augmentation_rows, network_rows
from satsynth.analysis.report.figures import class_gain_figure, ratio_figure
from satsynth.analysis.statistics.summary import gains_by_class, summarise
from satsynth.datasets.description import DatasetDescription
from satsynth.measuring import detectable_difference
from satsynth.pairs.store import PairStore
from satsynth.pipelines.tracked_trainings import TrackedTrainings
from satsynth.segmentation.grid import confusion_table, train_grid, training_table
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import require_parent
from satsynth.work.workspace import Workspace


def train_networks(
    tiles: PairStore,
    synthetic_pairs: PairStore,
    segmentation: SegmentationSettings,
    compute: ComputeSettings,
    workspace: Workspace,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Train every network in every arm with every seed.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        segmentation: The grid.
        compute: Where.
        workspace: Where work is kept.

    Returns:
        The tables `segmentation_runs`, a row a training, `scene_confusion`, a row a training and test scene, and
        `untrusted_pixels`, a row a class, which has no rows where all pixels are used.
    """
    from satsynth.segmentation.untrusted import used_pairs

    require_parent(synthetic_pairs, "synthetic_pairs", tiles, "tiles", "kedro run --pipeline=sampling")
    pairs, untrusted = used_pairs(tiles, synthetic_pairs, segmentation, compute, workspace, TrackedTrainings())
    finished = train_grid(tiles, pairs, segmentation, compute, workspace, TrackedTrainings(), detectable_difference)
    return training_table(finished), confusion_table(finished), untrusted


def summarise_trainings(segmentation_runs: pd.DataFrame, scene_confusion: pd.DataFrame) -> pd.DataFrame:
    """Summarise the trainings by arm and ratio.

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
