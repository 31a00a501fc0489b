"""Figures of the paper to stand beside one's own, where they exist."""

from __future__ import annotations

import pandas as pd

# SatSynth (arXiv 2403.16605), FPN-ResNet50 at 128 x 128 on real and synthetic pairs (Table 1b), and PSPNet and PFSegNet
# at 256 x 256 without and with synthetic pairs (Table 2). Not published: the rest.
_MIOU: dict[str, list[tuple[str, float | None, float]]] = {
    "isaid": [
        ("Table 1b, 128 x 128, FPN-ResNet50", None, 52.13),
        ("Table 2, 256 x 256, PSPNet", 48.95, 56.54),
        ("Table 2, 256 x 256, PFSegNet", 60.93, 63.71),
    ],
    "openearthmap": [("Table 1b, 128 x 128, FPN-ResNet50", None, 62.24)],
}
NOTE = (
    "The paper trains on the whole data set, matches epochs rather than steps, and gives neither its budgets nor "
    "intervals: its figures are comparable with full data and `segmentation.protocols: [epoch_matched]` alone."
)


def paper_miou(dataset: str) -> pd.DataFrame | None:
    """Return the paper's mIoU in percent on a data set: ``source, real, real + synthetic``; None where it has none."""
    if dataset not in _MIOU:
        return None
    return pd.DataFrame(_MIOU[dataset], columns=["paper", "mIoU % on real", "mIoU % on real + synthetic"])
