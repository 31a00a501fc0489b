"""One training of the grid as a remembered step: the judge and the grid share it, so equal settings train once.

A training is known by the content of the pairs that it sees. So it is found again whatever store they come from, and a
store with other pixels never stands for it. Imported without PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.pairs.cache import decoded
from satsynth.pairs.store import PairStore
from satsynth.segmentation.cells import Cell, synthetic_rows
from satsynth.segmentation.reporting import UNTRACKED, Report, TrainingTracker
from satsynth.segmentation.saved import SCORES, training_row
from satsynth.segmentation.settings import SegmentationNetwork, SegmentationSettings, TrainingSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests
from satsynth.work.files import digest_of
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.remembered import remembered
from satsynth.work.workspace import Workspace

RESULT_VERSION = 5


@dataclass(frozen=True)
class PlannedTraining:
    """A training with all that decides its result, but the pairs themselves.

    Args:
        cell: Which training of the grid.
        network: Its network.
        settings: How it is trained.
        rows: Numbers of the synthetic pairs that it uses, in increasing order.
        step: What identifies its work.
    """

    cell: Cell
    network: SegmentationNetwork
    settings: TrainingSettings
    rows: tuple[int, ...]
    step: Step

    @property
    def images(self) -> int:
        """Its budget in images."""
        return self.cell.arm.images(self.settings)

    @property
    def params(self) -> dict[str, Any]:
        """Nested parameters that identify it, for tracking."""
        return {**self.step.settings, **self.cell.columns, "model": self.network.model_dump(mode="json")}


@dataclass(frozen=True)
class FinishedTraining:
    """The outcome of a training.

    Args:
        cell: Which training of the grid.
        folder: Its finished work folder.
        found: Whether it had been done before.
    """

    cell: Cell
    folder: WorkFolder
    found: bool

    @property
    def row(self) -> dict[str, Any]:
        """Its row in tables: what identifies it, scores on test, seconds."""
        # Equal settings are trained once, under whatever name.
        return {**training_row(self.folder), **self.cell.columns}

    @property
    def confusion(self) -> dict[str, np.ndarray]:
        """The confusion matrix of each test scene, ``(K, K)`` int64, rows = target, in the order of the names."""
        return {scene: np.array(matrix) for scene, matrix in sorted(self.folder.manifest()["confusion"].items())}


def plan_trainings(
    cells: Iterable[Cell],
    tiles: PairStore,
    synthetic: PairStore | None,
    settings: SegmentationSettings,
    compute: ComputeSettings,
) -> list[PlannedTraining]:
    """Decide what each training sees and what identifies it.

    Args:
        cells: Which trainings.
        tiles: Real pairs.
        synthetic: Synthetic pairs; needed for a ratio above zero.
        settings: The grid.
        compute: For the precision.

    Raises:
        SatSynthError: There are fewer synthetic pairs than a ratio asks for.
    """
    contents = [] if synthetic is None else synthetic.pixel_digests("synthetic")
    planned = []
    for cell in cells:
        network = settings.networks[cell.network]
        rows = tuple(synthetic_rows(cell, tiles.count("train"), len(contents)).tolist())
        decided = {
            **cell.columns,
            "network": network.model_dump(mode="json"),
            "training": settings.training.model_dump(mode="json"),
            "precision": compute.precision,
            "synthetic": {"rows": digest_of([contents[row] for row in rows])} if rows else None,
        }
        step = Step("segmentation", RESULT_VERSION, digests(tiles=tiles), decided)
        planned.append(PlannedTraining(cell, network, settings.training, rows, step))
    return planned


def train_planned(
    planned: PlannedTraining,
    tiles: PairStore,
    synthetic: PairStore | None,
    compute: ComputeSettings,
    workspace: Workspace,
    tracker: TrainingTracker = UNTRACKED,
) -> FinishedTraining:
    """Do one training, or find it done.

    Args:
        planned: The training.
        tiles: Real pairs.
        synthetic: The synthetic pairs that it was planned with.
        compute: Where.
        workspace: Where work is kept.
        tracker: Keeps a record of it.
    """
    cell, inputs = planned.cell, {"tiles": tiles}
    if planned.rows:
        assert synthetic is not None
        inputs["synthetic_pairs"] = synthetic
    # Beside the parameter, which is text: a number is what charts draw along an axis.
    ratio = {"ratio": cell.arm.ratio}

    def train(folder: WorkFolder) -> None:
        with tracker.training(cell.title, planned.params, folder, inputs) as report:
            report.metrics(0, ratio)
            _train(planned, tiles, synthetic, compute, workspace.work, folder, report)

    done = remembered(workspace, planned.step, train)
    finished = FinishedTraining(cell, done.folder, done.found)
    if done.found:
        scores = {f"test_{name}": finished.row[name] for name in SCORES}
        tracker.reused(cell.title, planned.params, done.folder, scores | ratio, inputs)
    return finished


def _train(
    planned: PlannedTraining,
    tiles: PairStore,
    synthetic: PairStore | None,
    compute: ComputeSettings,
    work: Path,
    folder: WorkFolder,
    report: Report,
) -> None:
    from satsynth.segmentation.evaluation import HeldOut, HeldOutSplits
    from satsynth.segmentation.streams import stream_of
    from satsynth.segmentation.training import TrainingTask, train_network

    cell, settings = planned.cell, planned.settings
    real, drawn = decoded(tiles, "train", work), None
    if planned.rows and synthetic is not None:
        drawn = decoded(synthetic, "synthetic", work).take(np.array(planned.rows))
    val, test = (HeldOut(decoded(tiles, split, work), tiles.scenes(split)) for split in ("val", "test"))
    task = TrainingTask(
        title=cell.title,
        network=planned.network,
        stream=stream_of(cell.arm, real, drawn, cell.seed, settings),
        images=planned.images,
        seed=cell.seed,
        settings=settings,
        columns={**cell.columns, "real_pairs": len(real), "synthetic_pairs": len(planned.rows)},
        keep_weights=cell.arm.ratio == 0,
    )
    train_network(folder, task, HeldOutSplits(val, test, tiles.class_names), compute, report)
