"""The paper's tables of networks and of augmentations, from the trainings of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from satsynth.analysis.report.paper import AUGMENTATION_NOTE, paper_score
from satsynth.analysis.statistics.intervals import PerClass
from satsynth.analysis.statistics.summary import summarise

DIFFERENCE = ["difference", "difference_low", "difference_high"]
NETWORK_COLUMNS = ["network", "architecture", "encoder", "protocol", "real_share", "ratio", "seeds"]
SCORE_COLUMNS = ["miou", "miou_se", "mf1", "mf1_se", *DIFFERENCE]


def network_rows(
    summary: pd.DataFrame, dataset: str, networks: Mapping[str, tuple[str, str]], tile_size: int
) -> pd.DataFrame:
    """Return a row for each network, arm and ratio above zero: without and with synthetic pairs, beside the paper.

    Source: the paper's Tables 1b and 2.

    Args:
        summary: Rows of `summarise`; those of the default augmentation, flips, are used.
        dataset: Name of the data set.
        networks: Architecture and encoder by name of the network.
        tile_size: Side of a tile in pixels.

    Returns:
        What identifies the row, ``miou_real, mf1_real`` (R = 0), the scores and the difference with its interval, in
        [0, 1], and the columns of `paper_score`.
    """
    flips = summary[summary["augmentation"] == "flips"]
    real = flips[flips["ratio"] == 0].set_index("network")
    rows = []
    for _, row in flips[flips["ratio"] > 0].iterrows():
        architecture, encoder = networks[row["network"]]
        known = {**row.to_dict(), "architecture": architecture, "encoder": encoder}
        base = {f"{name}_real": real[name].get(row["network"], np.nan) for name in ("miou", "mf1")}
        paper = paper_score(dataset, architecture, encoder, tile_size, row["protocol"])
        rows.append({**{name: known[name] for name in NETWORK_COLUMNS}, **base, **_scores(row), **paper})
    paper_columns = ["paper_miou_real", "paper_miou", "paper_mf1", "note"]
    return pd.DataFrame(rows, columns=[*NETWORK_COLUMNS, "miou_real", "mf1_real", *SCORE_COLUMNS, *paper_columns])


def augmentation_rows(runs: pd.DataFrame, confusion: pd.DataFrame, per_class: PerClass) -> pd.DataFrame:
    """Return a row for each network, augmentation and ratio, all against flips on real pairs only.

    The paper's Table 5 compares synthetic pairs (R = 1) with Cutout, CutMix and Copy-Paste on real pairs; here each of
    them is also trained together with synthetic pairs. The numbers of that table are not available.

    Args:
        runs: As in `summarise`; step-matched ones with the union's share of real pairs are used.
        confusion: As in `summarise`.
        per_class: As in `paired_interval`.

    Returns:
        ``network, augmentation, ratio, seeds``, the scores, the difference to flips at R = 0 with its interval, and a
        ``note`` on the paper.
    """
    plain = [
        table[(table["protocol"] == "step_matched") & pd.to_numeric(table["real_share"]).isna()]
        for table in (runs, confusion)
    ]
    summary = summarise(plain[0], plain[1], per_class, against="flips")
    return summary[["network", "augmentation", "ratio", "seeds", *SCORE_COLUMNS]].assign(note=AUGMENTATION_NOTE)


def _scores(row: pd.Series) -> dict[str, Any]:
    return {name: row[name] for name in SCORE_COLUMNS}
