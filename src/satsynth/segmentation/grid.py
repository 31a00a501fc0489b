"""The judge and the whole grid: planned, announced, trained, and the grid's tables. Imported without PyTorch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import pandas as pd

from satsynth.pairs.store import PairStore
from satsynth.segmentation.cells import POOL, cells_of, judge_cell, shared_ratios
from satsynth.segmentation.reporting import UNTRACKED, TrainingTracker
from satsynth.segmentation.saved import SavedNetwork
from satsynth.segmentation.settings import SegmentationSettings
from satsynth.segmentation.sizes import check_tile_size
from satsynth.segmentation.trainings import FinishedTraining, PlannedTraining, budget_in_words, plan_trainings
from satsynth.segmentation.units import Stores, train_all
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import WorkFolder
from satsynth.work.remembered import is_remembered
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)
# Says in a sentence what a grid can show, from its trainings that are done and its numbers of seeds and test scenes.
Foresight = Callable[[Sequence[FinishedTraining], int, int], str]


def train_grid(
    tiles: PairStore,
    synthetic: PairStore,
    settings: SegmentationSettings,
    compute: ComputeSettings,
    workspace: Workspace,
    tracker: TrainingTracker = UNTRACKED,
    foresight: Foresight | None = None,
) -> list[FinishedTraining]:
    """Train every network in every arm with every seed, or find the trainings done.

    Args:
        tiles: Real pairs.
        synthetic: Synthetic pairs.
        settings: The grid.
        compute: Where.
        workspace: Where work is kept.
        tracker: Keeps a record of each training.
        foresight: Says with the plan which differences the grid can show.

    Returns:
        The trainings in the order of the grid.

    Raises:
        SatSynthError: The tiles do not fit a network, or there are fewer synthetic pairs than a ratio asks for.
    """
    check_tile_size(settings.networks, tiles.tile_size)
    planned = plan_trainings(cells_of(settings), tiles, synthetic, settings, compute)
    done = _announce(planned, tiles, settings, compute, workspace)
    if foresight is not None and len(done) < len(planned) and max(settings.ratios) > 0:
        log.info("Segmentation: %s", foresight(done, len(settings.seeds), labelled_scenes(tiles)))
    if len(settings.seeds) > 1:
        _announce_shared(settings, tiles.count("train"), synthetic.count("synthetic"))
    numbers = count(1)

    def show(one: FinishedTraining) -> None:
        miou = one.row["miou"]
        log.info("%d of %d, %s: mIoU %.4f on real test scenes", next(numbers), len(planned), one.cell.title, miou)

    return train_all(planned, Stores(tiles, synthetic), compute, workspace, tracker, show)


def train_judge(
    tiles: PairStore,
    settings: SegmentationSettings,
    compute: ComputeSettings,
    workspace: Workspace,
    tracker: TrainingTracker = UNTRACKED,
) -> SavedNetwork:
    """Train the judge, or find it trained: the training of the grid at R = 0 with the same network and seed.

    Args:
        tiles: Real pairs.
        settings: The grid, which names the judge.
        compute: Where.
        workspace: Where work is kept.
        tracker: Keeps a record of the training.

    Raises:
        SatSynthError: The tiles do not fit a network of the grid.
    """
    # All networks of the grid, before anything is trained for it.
    check_tile_size(settings.networks, tiles.tile_size)
    (planned,) = plan_trainings([judge_cell(settings)], tiles, None, settings, compute)
    name = planned.cell.network
    if is_remembered(workspace, planned.step):
        log.info("Judge: reused, trained before with the same settings on the same tiles")
    else:
        from satsynth.training.device import choose_device, describe_device

        budget = budget_in_words(planned.images, tiles.count("train"))
        log.info("Judge: %s, trained on %s, on %s", name, budget, describe_device(choose_device(compute)))
    # One training has no parts.
    whole = compute.model_copy(update={"share": None})
    (finished,) = train_all([planned], Stores(tiles), whole, workspace, tracker)
    log.info("Judge: %s, mIoU %.3f on real test scenes", name, finished.row["miou"])
    return SavedNetwork(finished.folder.result)


def training_table(finished: Sequence[FinishedTraining]) -> pd.DataFrame:
    """Return a row for each training: what identifies it, its scores on test, its seconds."""
    return pd.DataFrame([one.row for one in finished])


def confusion_table(finished: Sequence[FinishedTraining]) -> pd.DataFrame:
    """Return a row for each training and test scene, with its confusion matrix as a list of K * K counts."""
    rows: list[Mapping[str, Any]] = [
        {**one.cell.columns, "scene_id": scene, "confusion": np.ravel(matrix).tolist()}
        for one in finished
        for scene, matrix in one.confusion.items()
    ]
    return pd.DataFrame(rows)


def _announce(
    planned: Sequence[PlannedTraining],
    tiles: PairStore,
    settings: SegmentationSettings,
    compute: ComputeSettings,
    workspace: Workspace,
) -> list[FinishedTraining]:
    """Log what will be trained, and how long it takes, estimated from a few steps of each network.

    Returns:
        The trainings that are done.
    """
    named = ", ".join(dict.fromkeys(f"{one.cell.network} {one.cell.arm.title}" for one in planned))
    log.info("Segmentation: %d trainings, each with seeds %s: %s", len(planned), list(settings.seeds), named)
    for budget, names in _budgets(planned, tiles.count("train")).items():
        log.info("Segmentation: budget of %s: %s", ", ".join(names), budget)
    missing: list[PlannedTraining] = []
    done: list[FinishedTraining] = []
    for one in planned:
        if is_remembered(workspace, one.step):
            done.append(FinishedTraining(one.cell, WorkFolder(workspace.work, one.step), found=True))
        else:
            missing.append(one)
    if not missing:
        log.info("Segmentation: reused, all of them were done before")
        return done
    from satsynth.segmentation.training import seconds_an_image
    from satsynth.training.device import choose_device, describe_device, memory_in_words

    classes, side = len(tiles.class_names), tiles.tile_size
    first = {one.cell.network: one for one in missing}
    rates = {
        name: seconds_an_image(one.network, classes, side, one.settings.batch_size, compute)
        for name, one in first.items()
    }
    val, test = tiles.count("val"), tiles.count("test")
    minutes = sum(rates[one.cell.network] * (one.images + one.images_in_evaluation(val, test)) for one in missing) / 60
    device = choose_device(compute)
    where, memory = describe_device(device), memory_in_words(device)
    log.info("Segmentation: %d of them are new, about %.1f minutes on %s, %s", len(missing), minutes, where, memory)
    return done


def _budgets(planned: Sequence[PlannedTraining], real: int) -> dict[str, list[str]]:
    """Return the budgets at R = 0 in words, each with the networks that have it."""
    found: dict[str, list[str]] = {}
    for network, images in dict.fromkeys((one.cell.network, one.images) for one in planned if not one.cell.arm.ratio):
        found.setdefault(budget_in_words(images, real), []).append(network)
    return found


def labelled_scenes(tiles: PairStore) -> int:
    """Return the number of test scenes with a label."""
    index = tiles.index()
    test = (index["split"] == "test").to_numpy() & (tiles.pixel_counts().sum(1) > 0)
    return int(index.loc[test, "scene_id"].nunique())


def _announce_shared(settings: SegmentationSettings, real: int, available: int) -> None:
    """Log at which ratios the seeds have too few synthetic pairs to draw sets of their own."""
    if shared := shared_ratios(settings, real, available):
        log.info(
            "Segmentation: at R = %s the seeds share most synthetic pairs, or all; for sets of their own set "
            "`sampling.ratio` to %g or more, without `sampling.max_pairs`",
            ", ".join(f"{ratio:g}" for ratio in shared),
            POOL * max(settings.ratios),
        )
