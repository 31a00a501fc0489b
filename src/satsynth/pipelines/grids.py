"""Grids of R = 0 and one R above zero, by which several sets of pairs are put to work side by side."""

from __future__ import annotations

from satsynth.generation.settings import RivalsSettings
from satsynth.pairs.settings import LabelsSettings
from satsynth.segmentation.settings import Protocol, SegmentationSettings
from satsynth.work.errors import SatSynthError


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
