"""One segmentation training as a remembered step: the judge and the grid share it, so equal settings train once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from satsynth import tracking
from satsynth.pairs.cache import decoded
from satsynth.pairs.store import PairStore
from satsynth.pipelines.steps import RunSettings, digests, remembered, scenes_of
from satsynth.segmentation.saved import run_row
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import SatSynthError
from satsynth.work.folder import Step, WorkFolder


@dataclass(frozen=True)
class Cell:
    """One training of the grid.

    Args:
        network: Its name in `segmentation.networks`.
        ratio: Synthetic pairs for each real one.
        seed: Seed of the training and of the choice of synthetic pairs.
    """

    network: str
    ratio: float
    seed: int

    @property
    def title(self) -> str:
        """Its name in progress and tracking."""
        return f"{self.network} R={self.ratio:g} seed={self.seed}"


def synthetic_rows(cell: Cell, real: int, available: int) -> np.ndarray:
    """Return which synthetic pairs a training uses: each seed draws its own.

    Raises:
        SatSynthError: There are fewer than the ratio asks for.
    """
    wanted = round(cell.ratio * real)
    if wanted > available:
        raise SatSynthError(
            f"R = {cell.ratio:g} asks for {wanted} synthetic pairs ({real} real ones), "
            f"but `synthetic_pairs` holds {available}.",
            "Raise `sampling.ratio` or `sampling.max_pairs`, or lower `segmentation.ratios`.",
        )
    return np.sort(np.random.default_rng([cell.seed, wanted]).permutation(available)[:wanted])


def segmentation_run(
    cell: Cell,
    tiles: PairStore,
    synthetic: PairStore | None,
    settings: SegmentationSettings,
    compute: ComputeSettings,
    run: RunSettings,
) -> tuple[WorkFolder, dict[str, Any]]:
    """Do one training, or find it done.

    Args:
        cell: Which training.
        tiles: Real pairs.
        synthetic: Synthetic pairs; needed for a ratio above zero.
        settings: The grid.
        compute: Where.
        run: Where work is kept.

    Returns:
        The finished work folder and the run's row.
    """
    from satsynth.segmentation.training import RESULT_VERSION, HeldOut, train_network

    if cell.network not in settings.networks:
        raise SatSynthError(
            f"There is no network '{cell.network}' in `segmentation.networks`; there are {sorted(settings.networks)}.",
            "Correct the name.",
        )
    network = settings.networks[cell.network]
    facts: dict[str, Any] = {
        "network": cell.network,
        "ratio": float(cell.ratio),
        "seed": cell.seed,
        "protocol": "step_matched",
    }
    used = {
        "network": network.model_dump(mode="json"),
        "training": settings.training.model_dump(mode="json"),
        "precision": compute.precision,
    }
    parents = digests(tiles=tiles)
    real = tiles.count("train")
    rows = np.zeros(0, np.int64)
    if cell.ratio > 0 and synthetic is not None:
        rows = synthetic_rows(cell, real, synthetic.count())
        parents |= digests(synthetic_pairs=synthetic)
    params = tracking.flat({**facts, **used})
    trained = False

    def train(folder: WorkFolder) -> None:
        nonlocal trained
        trained = True
        sources = [decoded(tiles, "train", run.work)]
        if synthetic is not None and len(rows):
            sources.append(decoded(synthetic, "synthetic", run.work).take(rows))
        val, test = (HeldOut(decoded(tiles, split, run.work), scenes_of(tiles, [split])) for split in ("val", "test"))
        counted = {**facts, "real_pairs": real, "synthetic_pairs": len(rows)}
        with tracking.current().child(cell.title, params, folder) as child:
            train_network(
                folder,
                network,
                sources,
                val,
                test,
                class_names=tiles.class_names,
                seed=cell.seed,
                settings=settings.training,
                compute=compute,
                on_metrics=child.metrics,
                facts=counted,
                title=cell.title,
                keep_weights=cell.ratio == 0,
            )

    folder = remembered(run, Step("segmentation", RESULT_VERSION, parents, {**facts, **used}), train)
    row = run_row(folder)
    if not trained:
        tracking.current().reused(
            cell.title, params, folder, {f"test_{name}": row[name] for name in ("miou", "mf1", "accuracy")}
        )
    return folder, row
