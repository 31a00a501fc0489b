"""The network that judges images and masks: a segmentation network trained on real pairs only."""

from __future__ import annotations

from satsynth.pairs.store import PairStore
from satsynth.pipelines.tracked_trainings import TrackedTrainings
from satsynth.segmentation import grid
from satsynth.segmentation.saved import SavedNetwork
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.workspace import Workspace


def train_judge(
    tiles: PairStore, segmentation: SegmentationSettings, compute: ComputeSettings, workspace: Workspace
) -> SavedNetwork:
    """Train a segmentation network on real pairs only: the grid's training at R = 0 of the same network and seed.

    Args:
        tiles: Real pairs.
        segmentation: The grid, which names the judge.
        compute: Where.
        workspace: Where work is kept.

    Returns:
        The `judge`.

    Raises:
        SatSynthError: The tiles do not fit a network of the grid.
    """
    return grid.train_judge(tiles, segmentation, compute, workspace, TrackedTrainings())
