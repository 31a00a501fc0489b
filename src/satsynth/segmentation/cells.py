"""The cells of a grid: one training each, and the synthetic pairs that it uses. Imported without PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from satsynth.segmentation.arms import Arm, arms
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.work.errors import SatSynthError

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
    def columns(self) -> dict[str, Any]:
        """The columns that identify it in tables and tracking."""
        return {"network": self.network, **self.arm.columns, "seed": self.seed}


def cells_of(settings: SegmentationSettings) -> Iterator[Cell]:
    """Yield all cells of a grid, seed by seed, so that an interrupted grid is balanced."""
    for seed in settings.seeds:
        for network in settings.networks:
            for arm in arms(settings):
                yield Cell(network, arm, seed)


def judge_cell(settings: SegmentationSettings) -> Cell:
    """Return the cell of the judge, which is trained on real pairs only."""
    return Cell(settings.judge.network, Arm(0.0), settings.judge.seed)


def synthetic_rows(cell: Cell, real: int, available: int) -> np.ndarray:
    """Return which synthetic pairs a training uses: each seed draws its own half of twice as many.

    Where there are fewer than twice as many, it draws from all. More pairs than that change nothing: those drawn later,
    for larger ratios, leave the trainings of smaller ratios as they are.

    Args:
        cell: The training.
        real: Number of real training pairs.
        available: Number of synthetic pairs in the store.

    Returns:
        Row numbers in increasing order, ``(round(R * real),)`` int64.

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


def shared_ratios(settings: SegmentationSettings, real: int, available: int) -> list[float]:
    """Return the ratios at which there are too few synthetic pairs for each seed to draw a set of its own."""
    return [ratio for ratio in settings.ratios if available < POOL * round(ratio * real)]
