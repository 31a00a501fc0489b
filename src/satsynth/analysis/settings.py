"""Parameters of the comparison."""

from __future__ import annotations

from pydantic import Field

from satsynth.work.frozen import Frozen


class ComparisonSettings(Frozen):
    """The comparison of synthetic with real pairs."""

    gallery_pairs: int = Field(default=24, ge=1, le=400, description="Pairs on each side of the gallery.")
    imagenet: bool = Field(
        default=True,
        description="Whether realism is measured in the features of an ImageNet network, where its weights are "
        "installed.",
    )
    inception: str | None = Field(
        default=None,
        min_length=1,
        description="Inception weights for FID, sFID and inception score: none, `download`, or a local file of "
        "torch-fidelity's weights; needs the extra `fid`.",
    )
