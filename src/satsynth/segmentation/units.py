"""Doing trainings: each is a unit of work, remembered and tracked. Imported without PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from satsynth.pairs.cache import decoded
from satsynth.pairs.mosaics import MosaicWindows
from satsynth.pairs.store import PairStore
from satsynth.segmentation.cells import Cell
from satsynth.segmentation.reporting import UNTRACKED, TrainingTracker
from satsynth.segmentation.saved import SCORES
from satsynth.segmentation.trainings import FinishedTraining, PlannedTraining
from satsynth.training.reporting import Report
from satsynth.training.settings import ComputeSettings
from satsynth.work.files import MANIFEST
from satsynth.work.folder import WorkFolder, work_folder
from satsynth.work.placement import PartDone
from satsynth.work.remembered import is_done, remembered
from satsynth.work.units import How, Unit, run_units
from satsynth.work.units import Report as ReportEvent
from satsynth.work.workspace import Workspace


@dataclass(frozen=True)
class Stores:
    """The pairs that trainings see.

    Args:
        tiles: Real pairs.
        synthetic: Synthetic pairs; none where every training is at R = 0.
    """

    tiles: PairStore
    synthetic: PairStore | None = None

    def of(self, planned: PlannedTraining) -> dict[str, PairStore]:
        """Return the stores that a training sees, by their names in the catalog."""
        drawn = {"synthetic_pairs": self.synthetic} if planned.rows and self.synthetic is not None else {}
        return {"tiles": self.tiles, **drawn}


@dataclass(frozen=True)
class Metrics:
    """An event of a training.

    Args:
        step: Optimizer steps done.
        values: Metrics by name.
    """

    step: int
    values: Mapping[str, float]


def train_all(
    planned: Sequence[PlannedTraining],
    stores: Stores,
    compute: ComputeSettings,
    workspace: Workspace,
    tracker: TrainingTracker = UNTRACKED,
    on_done: Callable[[FinishedTraining], None] = lambda finished: None,
    how: How = "turn",
    workers: int = 1,
) -> list[FinishedTraining]:
    """Do trainings, or find them done.

    Args:
        planned: The trainings.
        stores: The pairs that they were planned with.
        compute: Where.
        workspace: Where work is kept.
        tracker: Keeps a record of each.
        on_done: Called with each training once it is finished; first with those that were done before.
        how: In turn, by threads or by processes.
        workers: How many threads or processes.

    Returns:
        The trainings in the order of the plan.

    Raises:
        PartDone: The trainings of this run's share are done, and others are not.
    """
    from satsynth.training.device import decided, placement

    if workspace.fresh:
        for one in planned:
            # Opening a folder removes what other runs have done.
            with work_folder(workspace.work, one.step, workspace.anew):
                pass
    folders = {one.cell: WorkFolder(workspace.work, one.step) for one in planned}
    finished: dict[Cell, FinishedTraining] = {}
    with _Records(tracker, stores) as records:

        def finish(one: PlannedTraining) -> None:
            found = not records.close(one)
            done = finished[one.cell] = FinishedTraining(one.cell, folders[one.cell], found)
            if found:
                records.reused(one, done)
            on_done(done)

        for one in planned:
            if is_done(workspace.work, one.step):
                finish(one)
        units: dict[Path, Unit] = {}
        kept, where = workspace.model_copy(update={"fresh": False}), decided(compute)
        for one in planned:
            # Equal settings under several names are trained once. Those that are done take part too: the shares of
            # processes that start at different times are the same.
            outcome = folders[one.cell].result / MANIFEST
            units.setdefault(outcome, Unit(outcome, 1, (one, stores, where, kept)))
        try:
            run_units(
                train_unit,
                list(units.values()),
                title="",
                noun="trainings",
                how=how,
                workers=workers,
                on_event=lambda unit, event: records.metrics(unit.arguments[0], folders[unit.arguments[0].cell], event),
                on_done=lambda unit: finish(unit.arguments[0]),
                placement=placement(compute),
                share=compute.part,
            )
        except PartDone as done:
            if done.left:
                raise
        for one in planned:
            if one.cell not in finished:
                finish(one)
    return [finished[one.cell] for one in planned]


def train_unit(
    outcome: Path,
    planned: PlannedTraining,
    stores: Stores,
    compute: ComputeSettings,
    workspace: Workspace,
    report: ReportEvent,
) -> None:
    """Do one training in its work folder, an independent unit of work.

    Args:
        outcome: The manifest of the finished work folder.
        planned: The training.
        stores: The pairs.
        compute: Where.
        workspace: Where work is kept.
        report: Takes `Metrics`; the first come when the training begins or continues.
    """

    def train(folder: WorkFolder) -> None:
        # Beside the parameter, which is text: a number is what charts draw along an axis.
        report(Metrics(0, {"ratio": planned.cell.arm.ratio}))
        _train(folder, planned, stores, compute, workspace.work, _Reported(report))

    from satsynth.training.device import threads

    # A worker process has its share of the cores, but its result stands for the plan's number of threads.
    with threads(planned.step.settings["threads"]):
        remembered(workspace, planned.step, train)


def _train(
    folder: WorkFolder,
    planned: PlannedTraining,
    stores: Stores,
    compute: ComputeSettings,
    work: Path,
    report: Report,
) -> None:
    from satsynth.segmentation.evaluation import HeldOut, HeldOutSplits
    from satsynth.segmentation.streams import stream_of
    from satsynth.segmentation.training import TrainingTask, train_network

    cell, settings, tiles = planned.cell, planned.settings, stores.tiles
    real, drawn = decoded(tiles, "train", work), None
    if planned.rows and stores.synthetic is not None:
        drawn = decoded(stores.synthetic, "synthetic", work).take(np.array(planned.rows))
    windows = None
    if cell.arm.augmentation == "geometric":
        index = tiles.index()
        windows = MosaicWindows(index[index["split"] == "train"], real)
    val, test = (HeldOut(decoded(tiles, split, work), tiles.scenes(split)) for split in ("val", "test"))
    task = TrainingTask(
        title=cell.title,
        network=planned.network,
        stream=stream_of(cell.arm, real, drawn, cell.seed, settings, windows),
        images=planned.images,
        seed=cell.seed,
        settings=settings,
        columns={**cell.columns, "real_pairs": len(real), "synthetic_pairs": len(planned.rows)},
        keep_weights=cell.arm.ratio == 0,
    )
    train_network(folder, task, HeldOutSplits(val, test, tiles.class_names), compute, report)


class _Reported:
    """A report that sends metrics as events."""

    def __init__(self, report: ReportEvent) -> None:
        self._report = report

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Send metrics."""
        self._report(Metrics(step, values))


class _Records:
    """The tracker's records of trainings under way, each opened by its first metrics.

    Whatever ends the block early, an error or Ctrl-C, reaches the records that are still open.

    Args:
        tracker: The tracker.
        stores: The pairs that trainings see.
    """

    def __init__(self, tracker: TrainingTracker, stores: Stores) -> None:
        self._tracker, self._stores, self._all = tracker, stores, ExitStack()
        self._open: dict[Cell, tuple[Report, ExitStack]] = {}

    def __enter__(self) -> _Records:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._all.__exit__(kind, error, trace)

    def metrics(self, planned: PlannedTraining, folder: WorkFolder, metrics: Metrics) -> None:
        """Take metrics of a training, opening its record if there is none."""
        cell = planned.cell
        if cell not in self._open:
            closing, inputs = self._all.enter_context(ExitStack()), self._stores.of(planned)
            report = closing.enter_context(self._tracker.training(cell.title, planned.params, folder, inputs))
            self._open[cell] = report, closing
        self._open[cell][0].metrics(metrics.step, metrics.values)

    def close(self, planned: PlannedTraining) -> bool:
        """Close the record of a training that is done; return whether there was one."""
        _, closing = self._open.pop(planned.cell, (None, None))
        if closing is not None:
            closing.close()
        return closing is not None

    def reused(self, planned: PlannedTraining, finished: FinishedTraining) -> None:
        """Take note of a training that was done before."""
        row, cell = finished.row, planned.cell
        final = {**{f"test_{name}": row[name] for name in SCORES}, "ratio": cell.arm.ratio}
        self._tracker.reused(cell.title, planned.params, finished.folder, final, self._stores.of(planned))
