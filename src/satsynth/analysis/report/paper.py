"""Results of the paper that a run can be compared with: SatSynth, arXiv 2403.16605."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class PaperScore:
    """A published score on real test scenes, in [0, 1]; None where it is not published.

    Args:
        dataset: The data set.
        source: The paper's table.
        network: The paper's name for the network.
        architecture: Its name in `segmentation.networks`.
        encoder: Its encoder; None where the paper's is not known.
        tile_size: Side of a tile in pixels.
        miou_real: mIoU of training on real pairs.
        miou: mIoU of training on real and synthetic pairs.
        mf1: Mean F1 of the same.
        pairs: What the synthetic pairs were, if not drawn at this size.
    """

    dataset: str
    source: str
    network: str
    architecture: str
    encoder: str | None
    tile_size: int
    miou_real: float | None
    miou: float | None
    mf1: float | None = None
    pairs: str = ""


_ENLARGED = "pairs drawn at 128 and enlarged to 256 pixels by a second model"
_SCORES = (
    PaperScore("isaid", "Table 1b", "FPN-ResNet50", "fpn", "resnet50", 128, None, 0.5213, 0.6613),
    PaperScore("isaid", "Table 1b", "SegDiff", "segdiff", "rrdb", 128, 0.4125, None),
    PaperScore("isaid", "Table 2", "PSPNet", "pspnet", None, 256, 0.4895, 0.5654, pairs=_ENLARGED),
    PaperScore("isaid", "Table 2", "PFSegNet", "pfsegnet", None, 256, 0.6093, 0.6371, pairs=_ENLARGED),
    PaperScore("openearthmap", "Table 1b", "FPN-ResNet50", "fpn", "resnet50", 128, None, 0.6224),
    PaperScore("openearthmap", "Table 1b", "SegDiff", "segdiff", "rrdb", 128, 0.5123, None),
)
# FID of Table 1a by data set and family of generators, at this size of tiles.
_DISTANCES = {
    ("isaid", "gan"): 10.21,
    ("isaid", "diffusion"): 8.66,
    ("loveda", "gan"): 15.79,
    ("loveda", "diffusion"): 13.87,
    ("openearthmap", "gan"): 15.96,
    ("openearthmap", "diffusion"): 12.09,
}
_DISTANCE_SIZE = 128
NOTE = (
    "The paper trains on the whole data set, matches epochs rather than steps, and gives neither budgets nor "
    "intervals. Its results are comparable only with full data and `segmentation.protocols: [epoch_matched]`."
)
AUGMENTATION_NOTE = (
    "The paper's Table 5 finds synthetic pairs (R = 1) better than Cutout, CutMix and Copy-Paste; "
    "its numbers are not available, so none are shown."
)


def gain_note(dataset: str) -> str:
    """Return what the paper reports on the gain of each class (Figure 7 and Table 6), and whether it is comparable."""
    correlation = "r = -0.47 (Pearson; rare classes gain more)"
    if dataset != "isaid":
        return (
            f"The paper's Figure 7 reports {correlation}, most likely on iSAID, whose 16 classes Table 6 lists: not "
            "comparable. The r of the plot here uses the logarithm of the share; with few classes it means little."
        )
    return (
        f"The paper: {correlation}, in its Figure 7, most likely on this data set. The r of the plot here uses the "
        "logarithm of the share. Whether the paper's does, and for which network and R it holds, is unknown, so "
        "compare only the sign. The numbers of its Table 6 (IoU of each class) are not available."
    )


def paper_table(dataset: str) -> pd.DataFrame | None:
    """Return the paper's results on a data set, mIoU in percent; None where there are none."""
    known = [score for score in _SCORES if score.dataset == dataset]
    if not known:
        return None
    return pd.DataFrame(
        {
            "paper": [f"{s.source}, {s.network}, {s.tile_size} x {s.tile_size}" for s in known],
            "mIoU % on real": [None if s.miou_real is None else 100 * s.miou_real for s in known],
            "mIoU % on real + synthetic": [None if s.miou is None else 100 * s.miou for s in known],
            "note": [s.pairs for s in known],
        }
    )


def paper_distance(dataset: str, family: str, tile_size: int) -> float | None:
    """Return the paper's FID of a family of generators (Table 1a); None where there is none for such tiles."""
    return _DISTANCES.get((dataset, family)) if tile_size == _DISTANCE_SIZE else None


def paper_score(dataset: str, architecture: str, encoder: str, tile_size: int, protocol: str) -> dict[str, Any]:
    """Return the paper's results for a network as columns ``paper_miou_real, paper_miou, paper_mf1, note``.

    They are given where data set, network and tile size are the paper's; the note says what else differs, or why there
    are none. The ratio at which the paper trained them is not published.
    """
    nothing = {"paper_miou_real": None, "paper_miou": None, "paper_mf1": None}
    here = [score for score in _SCORES if score.dataset == dataset]
    if not here:
        return {**nothing, "note": "the paper has no results on this data set"}
    same = [s for s in here if s.architecture == architecture and s.encoder in (None, encoder)]
    if not same:
        has = ", ".join(dict.fromkeys(s.network for s in here))
        return {**nothing, "note": f"on this data set only the results of {has} are known"}
    fitting = [s for s in same if s.tile_size == tile_size]
    if not fitting:
        return {**nothing, "note": f"{same[0].source} uses tiles of {same[0].tile_size}, not {tile_size} pixels"}
    found = fitting[0]
    if found.miou is None:
        return {
            **nothing,
            "paper_miou_real": found.miou_real,
            "note": f"{found.source}; trained there on real pairs only",
        }
    differs = [] if protocol == "epoch_matched" else [f"epochs matched there, {protocol} here"]
    differs += [found.pairs] if found.pairs else []
    differs += ["ratio not published"] + (["encoder not published"] if found.encoder is None else [])
    return {
        "paper_miou_real": found.miou_real,
        "paper_miou": found.miou,
        "paper_mf1": found.mf1,
        "note": f"{found.source}; {'; '.join(differs)}",
    }
