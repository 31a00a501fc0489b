"""What synthetic pairs are like beside real ones."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from satsynth.analysis.measures import distributions, fidelity, memorisation
from satsynth.analysis.measures.masks import RANGE, class_shares, like, mask_statistics
from satsynth.analysis.report.figures import class_distribution_figure, color_figure, spectrum_figure
from satsynth.pairs.cache import decoded
from satsynth.pairs.store import PairStore
from satsynth.pipelines.comparison.selection import MOST_IMAGES, chosen_rows, images_of, masks_of
from satsynth.pipelines.parameters import ComparisonSettings
from satsynth.segmentation.saved import SavedNetwork
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests, require_parent
from satsynth.work.folder import Step
from satsynth.work.remembered import remembered_table
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)
RESULT_VERSION = 9
SPLITS = ("train", "val", "test")
REPAIR_SAMPLING = "kedro run --pipeline=sampling"
REPAIR_JUDGE = "kedro run --pipeline=judge"


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
    require_parent(synthetic_pairs, "synthetic_pairs", tiles, "tiles", REPAIR_SAMPLING)
    names = tiles.class_names
    sets: dict[str, tuple[np.ndarray, list[str] | None]] = {
        split: (decoded(tiles, split, workspace.work).masks, tiles.scenes(split)) for split in SPLITS
    }
    sets["synthetic"] = (decoded(synthetic_pairs, "synthetic", workspace.work).masks, None)

    def table_of(name: str, rows: Callable[..., pd.DataFrame]) -> pd.DataFrame:
        step = Step(name, RESULT_VERSION, digests(tiles=tiles, synthetic_pairs=synthetic_pairs), {})

        def measure() -> tuple[pd.DataFrame, dict[str, Any]]:
            parts = [rows(split, masks, names, scenes) for split, (masks, scenes) in sets.items()]
            return pd.concat(parts, ignore_index=True), {}

        return remembered_table(workspace, step, measure)[0]

    return (
        table_of("class_distribution", distributions.class_rows),
        table_of("class_adjacency", distributions.adjacency_rows),
    )


def plot_classes(class_distribution: pd.DataFrame, fidelity: dict[str, Any]) -> go.Figure:
    """Plot the class distributions with their divergences to train.

    Args:
        class_distribution: The table.
        fidelity: Metrics, for the divergences.
    """
    return class_distribution_figure(class_distribution, fidelity["class_divergence"])


def measure_fidelity(
    tiles: PairStore,
    synthetic_pairs: PairStore,
    judge: SavedNetwork,
    comparison: ComparisonSettings,
    compute: ComputeSettings,
    workspace: Workspace,
) -> tuple[dict[str, Any], go.Figure, go.Figure]:
    """Measure how near synthetic pairs are to real ones, beside what real pairs are to each other.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        judge: Its features are used.
        comparison: Whether Inception is asked too.
        compute: Where.
        workspace: Where work is kept.

    Returns:
        Metrics `fidelity`, and the figures of power spectra and colour histograms.
    """
    from satsynth.segmentation.features import image_features

    require_parent(synthetic_pairs, "synthetic_pairs", tiles, "tiles", REPAIR_SAMPLING)
    require_parent(judge, "judge", tiles, "tiles", REPAIR_JUDGE)

    def measure() -> tuple[pd.DataFrame, dict[str, Any]]:
        images = {name: images_of(tiles, name, workspace) for name in SPLITS}
        images["synthetic"] = images_of(synthetic_pairs, "synthetic", workspace)
        features = {name: image_features(judge, part, compute) for name, part in images.items()}
        train = np.array(tiles.scenes("train"))[chosen_rows(tiles, "train")]
        halves = fidelity.scene_halves(train.tolist())
        curves, facts = fidelity.fidelity_facts(images, features, halves)
        masks = {name: masks_of(tiles, name, workspace) for name in SPLITS}
        masks["synthetic"] = masks_of(synthetic_pairs, "synthetic", workspace)
        names = tiles.class_names
        statistics = {name: mask_statistics(part, names) for name, part in masks.items()}
        shares = {name: class_shares(found, names) for name, found in statistics.items()}
        adjacency = {name: distributions.adjacency_sums(part, len(names)) for name, part in masks.items()}
        return curves, {
            **facts,
            "inception": _inception(images, halves, comparison, compute),
            "features": f"judge {judge.digest[:12]}, {fidelity.FEATURES}",
            "masks": statistics,
            "masks_like_train": like(statistics["synthetic"], statistics["train"]),
            "class_divergence": distributions.divergences(shares),
            "adjacency_divergence": distributions.divergences(adjacency),
        }

    parents = digests(tiles=tiles, synthetic_pairs=synthetic_pairs, judge=judge)
    settings: dict[str, Any] = {"images": MOST_IMAGES}
    if comparison.inception is not None:
        from satsynth.analysis.measures.inception import weights_name

        settings["inception"] = weights_name(comparison.inception)
    curves, facts = remembered_table(workspace, Step("fidelity", RESULT_VERSION, parents, settings), measure)
    distance = facts["kernel_distance"]
    log.info(
        "Kernel distance to train: synthetic %.4f, val %.4f, halves of train %.4f",
        distance["synthetic"],
        distance["val"],
        distance["train_halves"],
    )
    alike = facts["masks_like_train"]
    log.info(
        "Masks: %d of %d statistics within %g-%g times those of train; outside: %s",
        sum(alike.values()),
        len(alike),
        *RANGE,
        ", ".join(name for name, inside in alike.items() if not inside) or "none",
    )
    return facts, spectrum_figure(curves), color_figure(curves)


def _inception(
    images: dict[str, np.ndarray], halves: np.ndarray, comparison: ComparisonSettings, compute: ComputeSettings
) -> dict[str, Any] | None:
    if comparison.inception is None:
        return None
    from satsynth.analysis.measures.inception import inception_facts
    from satsynth.training.device import choose_device

    return inception_facts(images, halves, comparison.inception, choose_device(compute))


def measure_alignment(
    tiles: PairStore, synthetic_pairs: PairStore, judge: SavedNetwork, compute: ComputeSettings, workspace: Workspace
) -> dict[str, Any]:
    """Measure how well synthetic masks fit their images: the judge's predictions against them, beside real val pairs.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        judge: It predicts the masks from the images.
        compute: Where.
        workspace: Where work is kept.

    Returns:
        Metrics `alignment`: mIoU, accuracy and IoU by class for `synthetic` and `val`.
    """
    from satsynth.segmentation.alignment import agreement

    require_parent(synthetic_pairs, "synthetic_pairs", tiles, "tiles", REPAIR_SAMPLING)
    require_parent(judge, "judge", tiles, "tiles", REPAIR_JUDGE)

    def measure() -> tuple[pd.DataFrame, dict[str, Any]]:
        found = {}
        for name, store, split in (("synthetic", synthetic_pairs, "synthetic"), ("val", tiles, "val")):
            pairs = decoded(store, split, workspace.work).take(chosen_rows(store, split))
            found[name] = {"pairs": len(pairs), **agreement(judge, pairs, tiles.class_names, compute)}
        return pd.DataFrame(), found

    parents = digests(tiles=tiles, synthetic_pairs=synthetic_pairs, judge=judge)
    step = Step("alignment", RESULT_VERSION, parents, {"images": MOST_IMAGES, "precision": compute.precision})
    facts = remembered_table(workspace, step, measure)[1]
    log.info(
        "Alignment: the judge agrees with synthetic masks at mIoU %.3f, with real val masks at %.3f",
        facts["synthetic"]["miou"],
        facts["val"]["miou"],
    )
    return facts


def find_copies(
    tiles: PairStore, synthetic_pairs: PairStore, judge: SavedNetwork, compute: ComputeSettings, workspace: Workspace
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Find the nearest real training image of each synthetic one, in pixels and in the judge's features.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        judge: Its features are used.
        compute: Where.
        workspace: Where work is kept.

    Returns:
        The table `nearest_neighbours` and the metrics `memorisation`.
    """
    from satsynth.segmentation.features import image_features

    require_parent(synthetic_pairs, "synthetic_pairs", tiles, "tiles", REPAIR_SAMPLING)
    require_parent(judge, "judge", tiles, "tiles", REPAIR_JUDGE)

    def find() -> tuple[pd.DataFrame, dict[str, Any]]:
        index = tiles.index()
        known = index.loc[index["split"] == "train", "pair_id"].tolist()
        names = synthetic_pairs.index()["pair_id"].to_numpy()[chosen_rows(synthetic_pairs, "synthetic")].tolist()
        sets = [
            images_of(synthetic_pairs, "synthetic", workspace),
            np.asarray(decoded(tiles, "train", workspace.work).images),
            images_of(tiles, "val", workspace),
        ]
        train = image_features(judge, sets[1], compute)
        mean, std = fidelity.units_of(train)

        def views(images: np.ndarray) -> np.ndarray:
            turned = zip(*(memorisation.symmetries(image) for image in images), strict=True)
            found = [(image_features(judge, np.stack(v), compute) - mean) / std for v in turned]
            return np.stack(found, axis=1)

        spaces = {
            # Of training images one view is enough, and there may be very many of them.
            "pixels": memorisation.Space(
                *(memorisation.thumbnails(images, n) for images, n in zip(sets, (8, 1, 8), strict=True))
            ),
            "features": memorisation.Space(views(sets[0]), ((train - mean) / std)[:, None], views(sets[2])),
        }
        return memorisation.neighbours(spaces, names, known)

    parents = digests(tiles=tiles, synthetic_pairs=synthetic_pairs, judge=judge)
    step = Step("memorisation", RESULT_VERSION, parents, {"images": MOST_IMAGES})
    table, facts = remembered_table(workspace, step, find)
    log.info(
        "Suspiciously near to a training image: %.1f %% of the synthetic images in pixels, %.1f %% in features "
        "(1 %% of real held-out ones)",
        *(100 * facts[space]["suspicious_share"] for space in ("pixels", "features")),
    )
    return table, facts
