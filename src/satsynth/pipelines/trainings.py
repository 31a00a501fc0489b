"""One segmentation training as a remembered step: the judge and the grid share it, so equal settings train once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from satsynth import tracking
from satsynth.pairs.cache import decoded
from satsynth.pairs.store import PairStore
from satsynth.segmentation.arms import Arm
from satsynth.segmentation.saved import run_row
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests
from satsynth.work.errors import SatSynthError
from satsynth.work.files import digest_of
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.remembered import remembered
from satsynth.work.workspace import Workspace

# Synthetic pairs that the seeds of an arm choose from, for each one that they use.
POOL = 2


@dataclass(frozen=True)
class Cell:
    """One training of the grid.

    Args:
        network: Its name in `segmentation.networks`.
        arm: What it is shown.
        seed: Seed of the training and of the choice of synthetic pairs.
    """

    network: str
    arm: Arm
    seed: int

    @property
    def title(self) -> str:
        """Its name in progress and tracking."""
        return f"{self.network} {self.arm.title} seed={self.seed}"

    @property
    def facts(self) -> dict[str, Any]:
        """What identifies it, for tables and tracking."""
        return {"network": self.network, **self.arm.facts, "seed": self.seed}


def synthetic_rows(cell: Cell, real: int, available: int) -> np.ndarray:
    """Return which synthetic pairs a training uses: each seed draws its own half of twice as many.

    Where there are fewer than twice as many it draws from all. That there may be more changes nothing: pairs that are
    drawn later, for larger ratios, leave the trainings of smaller ones as they are.

    Raises:
        SatSynthError: There are fewer than the ratio asks for, or it asks for less than one.
    """
    wanted = round(cell.arm.ratio * real)
    if cell.arm.ratio > 0 and not wanted:
        raise SatSynthError(
            f"R = {cell.arm.ratio:g} of {real} real pairs is less than one synthetic pair.",
            "Raise `segmentation.ratios`.",
        )
    if wanted > available:
        raise SatSynthError(
            f"R = {cell.arm.ratio:g} asks for {wanted} synthetic pairs ({real} real ones), "
            f"but `synthetic_pairs` holds {available}.",
            "Raise `sampling.ratio` or `sampling.max_pairs`, or lower `segmentation.ratios`.",
        )
    return np.sort(np.random.default_rng([cell.seed, wanted]).permutation(min(available, POOL * wanted))[:wanted])


def segmentation_run(
    cell: Cell,
    tiles: PairStore,
    synthetic: PairStore | None,
    settings: SegmentationSettings,
    compute: ComputeSettings,
    workspace: Workspace,
) -> tuple[WorkFolder, dict[str, Any]]:
    """Do one training, or find it done.

    Args:
        cell: Which training.
        tiles: Real pairs.
        synthetic: Synthetic pairs; needed for a ratio above zero.
        settings: The grid.
        compute: Where.
        workspace: Where work is kept.

    Returns:
        The finished work folder and the run's row.
    """
    from satsynth.segmentation.streams import stream_of
    from satsynth.segmentation.training import HeldOut, train_network

    step, rows = step_of(cell, tiles, synthetic, settings, compute)
    params = tracking.flat(
        {**step.settings, **cell.facts, "model": settings.networks[cell.network].model_dump(mode="json")}
    )
    seen = tracking.data_inputs(tiles=tiles, synthetic_pairs=synthetic if len(rows) else None)
    # Beside the parameter, which is text: a number is what charts draw along an axis.
    ratio = {"ratio": cell.arm.ratio}

    def train(folder: WorkFolder) -> None:
        real = decoded(tiles, "train", workspace.work)
        drawn = (
            decoded(synthetic, "synthetic", workspace.work).take(rows) if synthetic is not None and len(rows) else None
        )
        val, test = (HeldOut(decoded(tiles, split, workspace.work), tiles.scenes(split)) for split in ("val", "test"))
        counted = {**cell.facts, "real_pairs": len(real), "synthetic_pairs": len(rows)}
        with tracking.active_tracker().child(cell.title, params, folder, seen) as child:
            child.metrics(0, ratio)
            train_network(
                folder,
                settings.networks[cell.network],
                stream_of(cell.arm, real, drawn, cell.seed, settings.training),
                cell.arm.images(settings.training),
                val,
                test,
                class_names=tiles.class_names,
                seed=cell.seed,
                settings=settings.training,
                compute=compute,
                on_metrics=child.metrics,
                facts=counted,
                title=cell.title,
                keep_weights=cell.arm.ratio == 0,
            )

    done = remembered(workspace, step, train)
    # Equal settings are trained once, by whatever name they go.
    row = {**run_row(done.folder), **cell.facts}
    if done.found:
        names = ("miou", "mf1", "accuracy", "boundary_f1")
        told = {f"test_{name}": row[name] for name in names} | ratio
        tracking.active_tracker().reused(cell.title, params, done.folder, told, seen)
    return done.folder, row


def step_of(
    cell: Cell, tiles: PairStore, synthetic: PairStore | None, settings: SegmentationSettings, compute: ComputeSettings
) -> tuple[Step, np.ndarray]:
    """Return what identifies a training, and which synthetic pairs it uses.

    Raises:
        SatSynthError: There are fewer synthetic pairs than the ratio asks for.
    """
    from satsynth.segmentation.training import RESULT_VERSION

    parents, rows = digests(tiles=tiles), np.zeros(0, np.int64)
    shown: dict[str, str] | None = None
    if cell.arm.ratio > 0 and synthetic is not None:
        rows = synthetic_rows(cell, tiles.count("train"), synthetic.count())
        origin, drawn = _origin(synthetic)
        parents |= origin
        shown = {"drawn": drawn, "rows": digest_of(rows.tolist())}
    used = {
        **cell.facts,
        "network": settings.networks[cell.network].model_dump(mode="json"),
        "training": settings.training.model_dump(mode="json"),
        "precision": compute.precision,
        "synthetic": shown,
    }
    return Step("segmentation", RESULT_VERSION, parents, used), rows


def _origin(synthetic: PairStore) -> tuple[dict[str, str], str]:
    """Return parents and name of what decides a set's pairs, however many there are of them."""
    if "drawn" in synthetic.manifest:
        return {"generator": synthetic.parents["generator"]}, str(synthetic.manifest["drawn"])
    return digests(synthetic_pairs=synthetic), synthetic.digest
