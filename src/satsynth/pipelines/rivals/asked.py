"""What `rivals` asks of segmentation."""

from __future__ import annotations

from satsynth.generation.settings import RivalsSettings
from satsynth.segmentation.settings import SegmentationSettings
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
    ratio = rivals.ratio or max(segmentation.ratios)
    if not ratio:
        raise SatSynthError(
            "`segmentation.ratios` has no R above zero at which families of generators could be compared.",
            "Set `rivals.ratio`, such as --params=rivals.ratio=1.",
        )
    return segmentation.model_copy(
        update={
            "ratios": (0.0, ratio),
            "protocols": ("step_matched", "synthetic_only"),
            "augmentations": ("flips",),
            "real_shares": (None,),
        }
    )
