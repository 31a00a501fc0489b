"""Training the generator."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import numpy as np

from satsynth import tracking
from satsynth.analysis.report.gallery import contact_sheet
from satsynth.generation.families import Family, FamilySettings, Report
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.settings import GenerationSettings
from satsynth.generation.training import train_generator, training_step
from satsynth.pairs.store import PairStore
from satsynth.pipelines.families import chosen, takes_families
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.remembered import remembered
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)


@takes_families
def make_generator(
    tiles: PairStore,
    generation: GenerationSettings,
    compute: ComputeSettings,
    workspace: Workspace,
    **families: FamilySettings,
) -> SavedGenerator:
    """Train a generator of the chosen family on real training images and masks.

    Args:
        tiles: Real pairs; the split `train` is used.
        generation: Which family.
        compute: Where.
        workspace: Where work is kept.
        families: Parameters of each family.

    Returns:
        The `generator`.
    """
    family, settings = chosen(generation.family, families)
    return trained_generator(tiles, family, settings, compute, workspace, family.name)


def trained_generator(
    tiles: PairStore,
    family: Family,
    settings: FamilySettings,
    compute: ComputeSettings,
    workspace: Workspace,
    title: str,
) -> SavedGenerator:
    """Train a generator, or find it trained.

    Args:
        tiles: Real pairs; the split `train` is used.
        family: Its family.
        settings: Parameters of the family.
        compute: Where.
        workspace: Where work is kept.
        title: Name of its training in MLflow.
    """
    step = training_step(family, settings, tiles, compute)
    params, seen = tracking.flat(step.settings), tracking.data_inputs(tiles=tiles)

    def reporting(folder: WorkFolder) -> AbstractContextManager[Report]:
        return tracked_report(title, step, folder, tiles)

    done = remembered(
        workspace,
        step,
        lambda folder: train_generator(folder, family, settings, tiles, compute, workspace.work, reporting),
    )
    if done.found:
        log.info("Generator: reused, trained before with the same settings on the same tiles")
        tracking.active_tracker().reused(title, params, done.folder, {}, seen)
    return SavedGenerator(done.result)


@contextmanager
def tracked_report(title: str, step: Step, folder: WorkFolder, tiles: PairStore) -> Iterator[Report]:
    """Open the run in MLflow of a training, or the one that it had before an interruption.

    Args:
        title: Its name there.
        step: What identifies the training.
        folder: Its work folder.
        tiles: Real pairs.
    """
    params, seen = tracking.flat(step.settings), tracking.data_inputs(tiles=tiles)
    with tracking.active_tracker().child(title, params, folder, seen) as child:
        yield TrackedReport(child, tiles.colors)


class TrackedReport:
    """A training's report to its run in MLflow.

    Args:
        child: The run.
        colors: Display colours of the classes, ``(K, 3)`` uint8.
    """

    def __init__(self, child: tracking.Child, colors: np.ndarray) -> None:
        """Hold both."""
        self._child, self._colors = child, colors

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Log metrics after a step."""
        self._child.metrics(step, values)

    def pictures(self, step: int, images: np.ndarray, masks: np.ndarray) -> None:
        """Log pairs drawn after a step as one picture."""
        sheet = contact_sheet(list(zip(images, masks, strict=True)), self._colors, 4)
        self._child.image(step, "drawn", sheet)
