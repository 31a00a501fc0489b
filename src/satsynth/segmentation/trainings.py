"""Trainings of the grid before and after: what each sees and what identifies it, and its outcome.

A training is identified by the content of the pairs that it sees. It is found again whatever store they come from, and
a store of other pixels never stands for it. The judge is one of them: equal settings are trained once. Imported without
PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from satsynth.pairs.store import PairStore
from satsynth.segmentation.architectures.registry import ARCHITECTURES
from satsynth.segmentation.beforehand import network_identity
from satsynth.segmentation.cells import Cell, synthetic_rows
from satsynth.segmentation.saved import training_row
from satsynth.segmentation.settings import SegmentationNetwork, SegmentationSettings, TrainingSettings
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests
from satsynth.work.files import digest_of
from satsynth.work.folder import Step, WorkFolder

RESULT_VERSION = 5
# Time of a forward pass as a share of a step of training, whose backward pass takes twice as long.
PASS = 1 / 3


@dataclass(frozen=True)
class PlannedTraining:
    """A training with all that decides its result, but the pairs themselves.

    Args:
        cell: Which training of the grid.
        network: Its network.
        settings: How it is trained, with its budget in images.
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

    def images_in_evaluation(self, val: int, test: int) -> float:
        """Return to how many images of training its evaluations amount, in time.

        Args:
            val: Number of val tiles.
            test: Number of test tiles.
        """
        passes = partial(ARCHITECTURES[self.network.architecture].passes, self.network)
        return PASS * (self.settings.evaluations * val * passes(quick=True) + test * passes(quick=False))

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
        """Its row in tables: what identifies it, its budget in images, scores on test, seconds."""
        budget = self.cell.arm.images(TrainingSettings(**self.folder.step.settings["training"]))
        # Equal settings are trained once, under whatever name.
        return {**training_row(self.folder), "images": budget, **self.cell.columns}

    @property
    def confusion(self) -> dict[str, np.ndarray]:
        """The confusion matrix of each test scene, ``(K, K)`` int64, rows = target, in the order of the names."""
        return {scene: np.array(matrix) for scene, matrix in sorted(self.folder.manifest()["confusion"].items())}


def budget_in_words(images: int, real: int) -> str:
    """Return a budget in images and in epochs of real training pairs."""
    return f"{images:,} images = {images / real:.1f} epochs of {real:,} real pairs"


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
        compute: Where.

    Raises:
        SatSynthError: There are fewer synthetic pairs than a ratio asks for.
    """
    from satsynth.training.device import arithmetic

    exact = arithmetic(compute)
    cells = list(cells)
    # Files of weights are read once a network.
    identities = {name: network_identity(settings.networks[name]) for name in {cell.network for cell in cells}}
    contents = [] if synthetic is None else synthetic.pixel_digests("synthetic")
    planned, real = [], tiles.count("train")
    for cell in cells:
        network = settings.networks[cell.network]
        training = network.trained_by(settings.training).for_pairs(real)
        rows = tuple(synthetic_rows(cell, real, len(contents)).tolist())
        decided = {
            **cell.columns,
            "network": identities[cell.network],
            "training": training.model_dump(mode="json"),
            **exact,
            "synthetic": {"rows": digest_of([contents[row] for row in rows])} if rows else None,
        }
        step = Step("segmentation", RESULT_VERSION, digests(tiles=tiles), decided)
        planned.append(PlannedTraining(cell, network, training, rows, step))
    return planned
