"""Grids of R = 0 and one R above zero, by which several sets of pairs are put to work side by side."""

from __future__ import annotations

import pandas as pd

from satsynth.analysis.statistics.summary import summarise
from satsynth.generation.settings import RivalsSettings
from satsynth.measuring import detectable_difference
from satsynth.pairs.settings import LabelsSettings
from satsynth.pairs.store import PairStore
from satsynth.pipelines.tracked_trainings import TrackedTrainings
from satsynth.segmentation.grid import confusion_table, train_grid, training_table
from satsynth.segmentation.settings import Protocol, SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.workspace import Workspace


def rivals_grid(rivals: RivalsSettings, segmentation: SegmentationSettings) -> SegmentationSettings:
    """Return the grid of one family: R = 0, real and synthetic pairs, and synthetic pairs only.

    Its trainings at R = 0, and those of the family of the run at the same R, are trainings of the run's own grid.

    Args:
        rivals: At which R.
        segmentation: Networks, seeds and budgets.

    Raises:
        SatSynthError: No R above zero is asked for.
    """
    return _grid(segmentation, rivals.ratio, ("step_matched", "synthetic_only"), "rivals", "families of generators")


def labels_grid(labels: LabelsSettings, segmentation: SegmentationSettings) -> SegmentationSettings:
    """Return the grid of one share of labels: R = 0, and real and synthetic pairs.

    Its trainings are those of the run's own grid with that share.

    Args:
        labels: At which R.
        segmentation: Networks, seeds and budgets.

    Raises:
        SatSynthError: No R above zero is asked for.
    """
    return _grid(segmentation, labels.ratio, ("step_matched",), "labels", "shares of labels")


def put_to_work(
    tiles: PairStore,
    synthetic: PairStore,
    settings: SegmentationSettings,
    compute: ComputeSettings,
    workspace: Workspace,
    tracker: TrackedTrainings,
) -> pd.DataFrame:
    """Do the trainings of a grid with one of the sets of pairs, and return their summary by `summarise`.

    Args:
        tiles: Real pairs.
        synthetic: Synthetic pairs.
        settings: The grid.
        compute: Where.
        workspace: Where work is kept.
        tracker: Shows the trainings.
    """
    from satsynth.segmentation.metrics import class_iou
    from satsynth.segmentation.untrusted import used_pairs

    pairs, _ = used_pairs(tiles, synthetic, settings, compute, workspace, tracker)
    finished = train_grid(tiles, pairs, settings, compute, workspace, tracker, detectable_difference)
    return summarise(training_table(finished), confusion_table(finished), class_iou)


def _grid(
    segmentation: SegmentationSettings, ratio: float | None, protocols: tuple[Protocol, ...], group: str, what: str
) -> SegmentationSettings:
    """Return a grid of R = 0 and one R above zero: the one given, or the largest of the run's own grid."""
    ratio = ratio or max(segmentation.ratios)
    if not ratio:
        raise SatSynthError(
            f"`segmentation.ratios` has no R above zero at which {what} could be compared.",
            f"Set `{group}.ratio`, such as --params={group}.ratio=1.",
        )
    return segmentation.model_copy(
        update={"ratios": (0.0, ratio), "protocols": protocols, "augmentations": ("flips",), "real_shares": (None,)}
    )
