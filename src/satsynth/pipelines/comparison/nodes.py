"""What synthetic pairs are like beside real ones."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from satsynth.analysis import distributions, fidelity, memorisation
from satsynth.analysis.figures import class_distribution_figure, spectrum_figure
from satsynth.analysis.gallery import gallery
from satsynth.pairs.cache import decoded
from satsynth.pairs.store import PairStore
from satsynth.pipelines.parameters import ComparisonSettings
from satsynth.pipelines.steps import RunSettings, digests, remembered_table, require_parent
from satsynth.pipelines.trainings import Cell, segmentation_run
from satsynth.segmentation.saved import SavedNetwork
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import Step

log = logging.getLogger(__name__)
RESULT_VERSION = 1
SPLITS = ("train", "val", "test")
MOST_IMAGES = 5000
REPAIR_SAMPLING = "kedro run --pipeline=sampling"


def train_judge(
    tiles: PairStore, segmentation: SegmentationSettings, compute: ComputeSettings, run: RunSettings
) -> SavedNetwork:
    """Train a segmentation network on real pairs alone; it is the grid's R = 0 run of the same network and seed.

    Args:
        tiles: Real pairs.
        segmentation: The grid.
        compute: Where.
        run: Where work is kept.

    Returns:
        The `judge`.
    """
    cell = Cell(segmentation.judge.network, 0, segmentation.judge.seed)
    folder, row = segmentation_run(cell, tiles, None, segmentation, compute, run)
    log.info("Judge: %s, mIoU %.3f on real test scenes", cell.network, row["miou"])
    return SavedNetwork(folder.result)


def compare_classes(tiles: PairStore, synthetic_pairs: PairStore, run: RunSettings) -> pd.DataFrame:
    """Compare the class distributions of train, val, test and synthetic pairs.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        run: Where work is kept.

    Returns:
        The table `class_distribution`, a row for each set and class.
    """
    require_parent(synthetic_pairs, "synthetic_pairs", tiles, "tiles", REPAIR_SAMPLING)

    def compare() -> tuple[pd.DataFrame, dict[str, Any]]:
        parts = [
            distributions.class_rows(split, decoded(tiles, split, run.work).masks, tiles.class_names)
            for split in SPLITS
        ]
        parts.append(
            distributions.class_rows(
                "synthetic", decoded(synthetic_pairs, "synthetic", run.work).masks, tiles.class_names
            )
        )
        return pd.concat(parts, ignore_index=True), {}

    step = Step("class_distribution", RESULT_VERSION, digests(tiles=tiles, synthetic_pairs=synthetic_pairs), {})
    return remembered_table(run, step, compare)[0]


def plot_classes(class_distribution: pd.DataFrame) -> go.Figure:
    """Plot the class distributions with their divergences to train.

    Args:
        class_distribution: The table.
    """
    return class_distribution_figure(class_distribution, distributions.divergences(class_distribution))


def measure_fidelity(
    tiles: PairStore,
    synthetic_pairs: PairStore,
    judge: SavedNetwork,
    class_distribution: pd.DataFrame,
    compute: ComputeSettings,
    run: RunSettings,
) -> tuple[dict[str, Any], go.Figure]:
    """Measure how near synthetic images are to real ones, beside what real images are to each other.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        judge: Its features are used.
        class_distribution: For the divergence of class shares.
        compute: Where.
        run: Where work is kept.

    Returns:
        Metrics `fidelity` and the figure of power spectra.
    """
    from satsynth.segmentation.features import image_features

    require_parent(synthetic_pairs, "synthetic_pairs", tiles, "tiles", REPAIR_SAMPLING)
    require_parent(judge, "judge", tiles, "tiles", "kedro run --pipeline=comparison")

    def measure() -> tuple[pd.DataFrame, dict[str, Any]]:
        images = {
            name: _images(tiles if name in SPLITS else synthetic_pairs, name, run) for name in (*SPLITS, "synthetic")
        }
        features = {name: image_features(judge, part, compute) for name, part in images.items()}
        reference, *others = fidelity.standardise(
            features["train"], *(features[name] for name in ("val", "test", "synthetic"))
        )
        halves = _scene_halves(tiles, len(reference))
        spectra = {name: fidelity.radial_spectrum(part) for name, part in images.items()}
        colors = {name: fidelity.color_histogram(part) for name, part in images.items()}
        facts: dict[str, Any] = {
            "reference": "train",
            "features": f"judge {judge.digest[:12]}, encoder, mean over space, standardised by train",
            "images": {name: len(part) for name, part in images.items()},
            "kernel_distance": {
                **{
                    name: fidelity.kernel_distance(reference, other)
                    for name, other in zip(("val", "test", "synthetic"), others, strict=True)
                },
                "train_halves": fidelity.kernel_distance(reference[halves], reference[~halves]),
            },
            "color_distance": {
                name: fidelity.histogram_distance(colors["train"], colors[name])
                for name in ("val", "test", "synthetic")
            },
            "spectrum_distance": {
                name: fidelity.spectrum_distance(spectra["train"], spectra[name])
                for name in ("val", "test", "synthetic")
            },
        }
        return pd.DataFrame(spectra), facts

    parents = digests(tiles=tiles, synthetic_pairs=synthetic_pairs, judge=judge)
    table, facts = remembered_table(run, Step("fidelity", RESULT_VERSION, parents, {"images": MOST_IMAGES}), measure)
    facts["class_divergence"] = distributions.divergences(class_distribution)
    distance = facts["kernel_distance"]
    log.info(
        "Kernel distance to train: synthetic %.4f, val %.4f, halves of train %.4f",
        distance["synthetic"],
        distance["val"],
        distance["train_halves"],
    )
    return facts, spectrum_figure({str(name): table[name].tolist() for name in table})


def find_copies(tiles: PairStore, synthetic_pairs: PairStore, run: RunSettings) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Find the nearest real training image of each synthetic one.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        run: Where work is kept.

    Returns:
        The table `nearest_neighbours` and the metrics `memorisation`.
    """
    require_parent(synthetic_pairs, "synthetic_pairs", tiles, "tiles", REPAIR_SAMPLING)

    def find() -> tuple[pd.DataFrame, dict[str, Any]]:
        index, names = tiles.index(), synthetic_pairs.index()["pair_id"]
        train = index.loc[index["split"] == "train", "pair_id"].tolist()
        drawn, unseen = _images(synthetic_pairs, "synthetic", run), _images(tiles, "val", run)
        known = decoded(tiles, "train", run.work).images
        return memorisation.neighbours(drawn, known, unseen, names.tolist()[: len(drawn)], train)

    step = Step(
        "memorisation", RESULT_VERSION, digests(tiles=tiles, synthetic_pairs=synthetic_pairs), {"images": MOST_IMAGES}
    )
    table, facts = remembered_table(run, step, find)
    log.info(
        "Suspiciously near to a training image: %.1f %% of the synthetic images (1 %% of real held-out ones)",
        100 * facts["suspicious_share"],
    )
    return table, facts


def draw_gallery(tiles: PairStore, synthetic_pairs: PairStore, comparison: ComparisonSettings) -> np.ndarray:
    """Draw real pairs beside synthetic ones, chosen evenly, not by looks.

    Args:
        tiles: Real pairs.
        synthetic_pairs: Synthetic pairs.
        comparison: How many.

    Returns:
        The picture `pair_gallery`.
    """
    shown = []
    for store, split in ((tiles, "train"), (synthetic_pairs, "synthetic")):
        number = min(comparison.gallery_pairs, store.count(split))
        wanted = set(np.linspace(0, store.count(split) - 1, number).round().astype(int).tolist())
        shown.append([pair for i, pair in enumerate(store.arrays(split)) if i in wanted])
    return gallery(shown[0], shown[1], tiles.class_names, tiles.colors)


def _images(store: PairStore, split: str, run: RunSettings) -> np.ndarray:
    return decoded(store, split, run.work).images[:MOST_IMAGES]


def _scene_halves(tiles: PairStore, number: int) -> np.ndarray:
    """Return a mask ``(N,)`` that puts every other training scene into one half: tiles of one scene stay together."""
    index = tiles.index()
    scenes = index.loc[index["split"] == "train", "scene_id"].to_numpy()[:number]
    order = {scene: i for i, scene in enumerate(dict.fromkeys(scenes))}
    return np.array([order[scene] % 2 == 0 for scene in scenes])
