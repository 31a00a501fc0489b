"""The network that judges images and masks: a segmentation network trained on real pairs only."""

from __future__ import annotations

import logging

from satsynth.pairs.store import PairStore
from satsynth.pipelines.trainings import Cell, segmentation_run, step_of
from satsynth.segmentation.arms import Arm
from satsynth.segmentation.saved import SavedNetwork
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.remembered import is_remembered
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)


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
    """
    cell = Cell(segmentation.judge.network, Arm(0.0), segmentation.judge.seed)
    if not is_remembered(workspace, step_of(cell, tiles, None, segmentation, compute)[0]):
        from satsynth.training.device import choose_device, describe_device

        log.info(
            "Judge: %s, trained on %d images of %d real pairs, on %s",
            cell.network,
            cell.arm.images(segmentation.training),
            tiles.count("train"),
            describe_device(choose_device(compute)),
        )
    folder, row = segmentation_run(cell, tiles, None, segmentation, compute, workspace)
    log.info("Judge: %s, mIoU %.3f on real test scenes", cell.network, row["miou"])
    return SavedNetwork(folder.result)
