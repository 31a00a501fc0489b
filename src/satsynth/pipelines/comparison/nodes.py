"""Synthetic pairs beside real ones: distributions, fidelity, alignment of masks with images, copies."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from satsynth.analysis.fidelity import log_fidelity
from satsynth.analysis.measures import curves, distributions, memorisation
from satsynth.analysis.measures.table import values_of
from satsynth.analysis.report.figures import class_distribution_figure, color_figure, spectrum_figure
from satsynth.analysis.settings import ComparisonSettings
from satsynth.measuring import SELECTION, SPLITS, SYNTHETIC, chosen_rows, images_of, measured_fidelity, require_ancestry
from satsynth.pairs.cache import decoded
from satsynth.pairs.store import PairStore
from satsynth.segmentation.saved import SavedNetwork
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests
from satsynth.work.folder import Step
from satsynth.work.remembered import remembered_table
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)
ALIGNMENT_VERSION = 9


def compare_classes(
    tiles: PairStore, synthetic_pairs: PairStore, workspace: Workspace
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare the class distributions of train, val, test and synthetic pairs.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        workspace: Where work is kept.

    Returns:
        The tables `class_distribution`, a row for each set and class, and `class_adjacency`, a row for each set and
        two classes.
    """
    require_ancestry(tiles, synthetic_pairs)
    sets: dict[str, tuple[np.ndarray, list[str] | None]] = {
        split: (decoded(tiles, split, workspace.work).masks, tiles.scenes(split)) for split in SPLITS
    }
    sets[SYNTHETIC] = (decoded(synthetic_pairs, SYNTHETIC, workspace.work).masks, None)

    def table_of(name: str, rows: Callable[..., pd.DataFrame]) -> pd.DataFrame:
        def compute() -> tuple[pd.DataFrame, dict[str, Any]]:
            parts = [rows(split, masks, tiles.class_names, scenes) for split, (masks, scenes) in sets.items()]
            return pd.concat(parts, ignore_index=True), {}

        parents = digests(tiles=tiles, synthetic_pairs=synthetic_pairs)
        return remembered_table(workspace, Step(name, distributions.RESULT_VERSION, parents, {}), compute)[0]

    return (
        table_of("class_distribution", distributions.class_rows),
        table_of("class_adjacency", distributions.adjacency_rows),
    )


def plot_classes(class_distribution: pd.DataFrame, fidelity: pd.DataFrame) -> go.Figure:
    """Plot the class distributions with their divergences to train.

    Args:
        class_distribution: The table.
        fidelity: The table, for the divergences.
    """
    return class_distribution_figure(class_distribution, values_of(fidelity, "class_divergence"))


def measure_fidelity(
    tiles: PairStore,
    synthetic_pairs: PairStore,
    judge: SavedNetwork,
    comparison: ComparisonSettings,
    compute: ComputeSettings,
    workspace: Workspace,
) -> pd.DataFrame:
    """Measure how close synthetic pairs are to real ones, beside how close real pairs are to one another.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        judge: The network whose features are used.
        comparison: Which optional measures are switched on.
        compute: Where.
        workspace: Where work is kept.

    Returns:
        The table `fidelity`, a row for each set and measure.
    """
    table = measured_fidelity(tiles, synthetic_pairs, judge, comparison, compute, workspace)
    log_fidelity(table, tiles.class_names, SYNTHETIC)
    return table


def measure_curves(tiles: PairStore, synthetic_pairs: PairStore, workspace: Workspace) -> pd.DataFrame:
    """Measure power spectra and colour histograms of train, val, test and synthetic images.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        workspace: Where work is kept.

    Returns:
        The table `image_curves`, a row for each point of a curve.
    """
    require_ancestry(tiles, synthetic_pairs)

    def compute() -> tuple[pd.DataFrame, dict[str, Any]]:
        images = {split: images_of(tiles, split, workspace) for split in SPLITS}
        images[SYNTHETIC] = images_of(synthetic_pairs, SYNTHETIC, workspace)
        return curves.curve_rows(images), {}

    parents = digests(tiles=tiles, synthetic_pairs=synthetic_pairs)
    return remembered_table(workspace, Step("image_curves", curves.RESULT_VERSION, parents, SELECTION), compute)[0]


def plot_curves(image_curves: pd.DataFrame) -> tuple[go.Figure, go.Figure]:
    """Plot power spectra and colour histograms.

    Args:
        image_curves: The table.
    """
    return spectrum_figure(image_curves), color_figure(image_curves)


def measure_alignment(
    tiles: PairStore, synthetic_pairs: PairStore, judge: SavedNetwork, compute: ComputeSettings, workspace: Workspace
) -> dict[str, Any]:
    """Measure how well synthetic masks fit their images: the judge's predictions against them, beside real val pairs.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        judge: The network that predicts the masks from the images.
        compute: Where.
        workspace: Where work is kept.

    Returns:
        Metrics `alignment`: mIoU, accuracy and IoU by class for `synthetic` and `val`.
    """
    from satsynth.segmentation.alignment import agreement
    from satsynth.training.device import arithmetic

    require_ancestry(tiles, synthetic_pairs, judge)

    def compute_agreement() -> tuple[pd.DataFrame, dict[str, Any]]:
        metrics = {}
        for store, split in ((synthetic_pairs, SYNTHETIC), (tiles, "val")):
            pairs = decoded(store, split, workspace.work).take(chosen_rows(store, split))
            metrics[split] = {"pairs": len(pairs), **agreement(judge, pairs, tiles.class_names, compute)}
        return pd.DataFrame(), metrics

    parents = digests(tiles=tiles, synthetic_pairs=synthetic_pairs, judge=judge)
    step = Step("alignment", ALIGNMENT_VERSION, parents, {**SELECTION, **arithmetic(compute)})
    metrics = remembered_table(workspace, step, compute_agreement)[1]
    log.info(
        "Alignment: the judge agrees with synthetic masks at mIoU %.3f, with real val masks at %.3f",
        metrics[SYNTHETIC]["miou"],
        metrics["val"]["miou"],
    )
    return metrics


def find_copies(
    tiles: PairStore, synthetic_pairs: PairStore, judge: SavedNetwork, compute: ComputeSettings, workspace: Workspace
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Find the nearest real training image of each synthetic one, in pixels and in the judge's features.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        judge: The network whose features are used.
        compute: Where.
        workspace: Where work is kept.

    Returns:
        The table `nearest_neighbours` and the metrics `memorisation`.
    """
    from satsynth.segmentation.features import image_features
    from satsynth.training.device import arithmetic

    require_ancestry(tiles, synthetic_pairs, judge)

    def find() -> tuple[pd.DataFrame, dict[str, Any]]:
        index = tiles.index()
        train_ids = index.loc[index["split"] == "train", "pair_id"].tolist()
        synthetic_ids = synthetic_pairs.index()["pair_id"].to_numpy()[chosen_rows(synthetic_pairs, SYNTHETIC)].tolist()
        spaces = memorisation.spaces_of(
            images_of(synthetic_pairs, SYNTHETIC, workspace),
            np.asarray(decoded(tiles, "train", workspace.work).images),
            images_of(tiles, "val", workspace),
            lambda images: image_features(judge, images, compute),
        )
        return memorisation.neighbours(spaces, synthetic_ids, train_ids)

    parents = digests(tiles=tiles, synthetic_pairs=synthetic_pairs, judge=judge)
    step = Step("memorisation", memorisation.RESULT_VERSION, parents, {**SELECTION, **arithmetic(compute)})
    table, metrics = remembered_table(workspace, step, find)
    log.info(
        "Suspiciously close to a training image: %.1f %% of the synthetic images in pixels, %.1f %% in features "
        "(1 %% of real held-out ones)",
        *(100 * metrics[space]["suspicious_share"] for space in ("pixels", "features")),
    )
    return table, metrics
