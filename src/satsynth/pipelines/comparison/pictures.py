"""Pictures of synthetic pairs beside real ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from satsynth.analysis.report.gallery import gallery
from satsynth.analysis.settings import ComparisonSettings
from satsynth.measuring import evenly
from satsynth.pairs.cache import decoded
from satsynth.pairs.store import PairStore
from satsynth.work.workspace import Workspace


def draw_closest(
    tiles: PairStore,
    synthetic_pairs: PairStore,
    nearest_neighbours: pd.DataFrame,
    comparison: ComparisonSettings,
    workspace: Workspace,
) -> np.ndarray:
    """Draw the synthetic pairs that are nearest to training pairs, beside their nearest training pairs.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        nearest_neighbours: The table.
        comparison: How many.
        workspace: Where work is kept.

    Returns:
        The picture `closest_pairs`: the first half nearest in pixels, the second in features.
    """
    sides = []
    each = max(1, comparison.gallery_pairs // 2)
    closest = nearest_neighbours.groupby("space", sort=False).head(each)
    for store, split, column in ((synthetic_pairs, "synthetic", "pair_id"), (tiles, "train", "nearest")):
        index, pairs = store.index(), decoded(store, split, workspace.work)
        place = {name: i for i, name in enumerate(index.loc[index["split"] == split, "pair_id"])}
        sides.append([pairs[place[name]] for name in closest[column]])
    return gallery(
        sides[0], sides[1], tiles.class_names, tiles.colors, titles=("synthetic", "nearest real training pair")
    )


def draw_gallery(
    tiles: PairStore, synthetic_pairs: PairStore, comparison: ComparisonSettings, workspace: Workspace
) -> np.ndarray:
    """Draw real pairs beside synthetic ones, chosen evenly, not by looks.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        comparison: How many.
        workspace: Where work is kept.

    Returns:
        The picture `pair_gallery`.
    """
    shown = []
    for store, split in ((tiles, "train"), (synthetic_pairs, "synthetic")):
        pairs = decoded(store, split, workspace.work)
        shown.append([pairs[int(i)] for i in evenly(len(pairs), comparison.gallery_pairs)])
    return gallery(shown[0], shown[1], tiles.class_names, tiles.colors)
