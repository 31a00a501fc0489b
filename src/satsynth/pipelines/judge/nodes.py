"""The network that judges images and masks: a segmentation network trained on real pairs only."""

from __future__ import annotations

import logging

from satsynth.pairs.store import PairStore
from satsynth.pipelines.tracked_trainings import TrackedTrainings
from satsynth.segmentation.cells import judge_cell
from satsynth.segmentation.saved import SavedNetwork
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.segmentation.sizes import check_tile_size
from satsynth.segmentation.trainings import plan_trainings, train_planned
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

    Raises:
        SatSynthError: The tiles do not fit a network of the grid.
    """
    # The whole grid is checked here, before anything is trained for it.
    check_tile_size(segmentation.networks, tiles.tile_size)
    cell = judge_cell(segmentation)
    (planned,) = plan_trainings([cell], tiles, None, segmentation, compute)
    if is_remembered(workspace, planned.step):
        log.info("Judge: reused, trained before with the same settings on the same tiles")
    else:
        from satsynth.training.device import choose_device, describe_device

        log.info(
            "Judge: %s, trained on %d images of %d real pairs, on %s",
            cell.network,
            planned.images,
            tiles.count("train"),
            describe_device(choose_device(compute)),
        )
    finished = train_planned(planned, tiles, None, compute, workspace, TrackedTrainings())
    log.info("Judge: %s, mIoU %.3f on real test scenes", cell.network, finished.row["miou"])
    return SavedNetwork(finished.folder.result)
