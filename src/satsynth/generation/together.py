"""Trainings of several generators at the same time: each is a unit of work that may run on another machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from satsynth.generation.families import FamilySettings, Report, family_of
from satsynth.generation.training import train_generator, training_step
from satsynth.pairs.store import PairStore
from satsynth.training.settings import ComputeSettings
from satsynth.work.files import MANIFEST
from satsynth.work.folder import Step, WorkFolder, work_folder
from satsynth.work.remembered import is_done, remembered
from satsynth.work.units import Report as ReportEvent
from satsynth.work.units import Unit, run_units
from satsynth.work.workspace import Workspace

# Opens what the training of a family, known by its step, reports to.
Opened = Callable[[str, Step, WorkFolder], AbstractContextManager[Report]]


@dataclass(frozen=True)
class Metrics:
    """An event of a training.

    Args:
        step: Steps done.
        values: Metrics by name.
    """

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Pictures:
    """An event of a training: pairs that were drawn.

    Args:
        step: Steps done.
        images: ``(N, H, W, 3)`` uint8.
        masks: ``(N, H, W)`` uint8.
    """

    step: int
    images: np.ndarray
    masks: np.ndarray


def train_together(
    settings: Mapping[str, FamilySettings],
    tiles: PairStore,
    compute: ComputeSettings,
    workspace: Workspace,
    opened: Opened,
) -> dict[str, WorkFolder]:
    """Train a generator of each family whose training was not done before, by the engine that `compute` names.

    Args:
        settings: The families' parameters, by name of family.
        tiles: Real pairs.
        compute: Where. A training of several processes declares the resources of all of them.
        workspace: Where work is kept.
        opened: Opens what a training reports to, in this process, when it begins or continues.

    Returns:
        The work folders of those that were trained now.
    """
    from satsynth.training.device import decided, placement

    steps = {name: training_step(family_of(name), given, tiles, compute) for name, given in settings.items()}
    if workspace.fresh:
        for step in steps.values():
            # Opening a folder removes what other runs have done.
            with work_folder(workspace.work, step, workspace.anew):
                pass
    missing = {name: step for name, step in steps.items() if not is_done(workspace.work, step)}
    folders = {name: WorkFolder(workspace.work, step) for name, step in missing.items()}
    kept, where = workspace.model_copy(update={"fresh": False}), decided(compute)
    units = [
        Unit(folder.result / MANIFEST, 1, (name, settings[name], tiles, where, kept, missing[name].settings["threads"]))
        for name, folder in folders.items()
    ]
    place = placement(compute)
    used = replace(
        place.resources, cores=place.resources.cores * compute.processes, gpus=place.resources.gpus * compute.processes
    )
    with ExitStack() as all_reports:
        reports: dict[str, tuple[Report, ExitStack]] = {}

        def take(unit: Unit, event: Metrics | Pictures) -> None:
            name = unit.arguments[0]
            if name not in reports:
                closing = all_reports.enter_context(ExitStack())
                reports[name] = closing.enter_context(opened(name, missing[name], folders[name])), closing
            report = reports[name][0]
            if isinstance(event, Metrics):
                report.metrics(event.step, event.values)
            else:
                report.pictures(event.step, event.images, event.masks)

        def close(unit: Unit) -> None:
            if unit.arguments[0] in reports:
                reports[unit.arguments[0]][1].close()

        run_units(
            train_unit, units, "", "trainings", on_event=take, on_done=close, placement=replace(place, resources=used)
        )
    return folders


def train_unit(
    outcome: Path,
    family: str,
    settings: FamilySettings,
    tiles: PairStore,
    compute: ComputeSettings,
    workspace: Workspace,
    number: int | None,
    report: ReportEvent,
) -> None:
    """Train one generator in its work folder, an independent unit of work.

    Args:
        outcome: The manifest of the finished work folder.
        family: Name of its family.
        settings: The family's parameters.
        tiles: Real pairs.
        compute: Where.
        workspace: Where work is kept.
        number: Threads of the CPU for which its result stands.
        report: Takes `Metrics` and `Pictures`; the first come when the training begins or continues.
    """
    from satsynth.training.device import threads

    def train(folder: WorkFolder) -> None:
        report(Metrics(0, {}))
        train_generator(
            folder,
            family_of(family),
            settings,
            tiles,
            compute,
            workspace.work,
            lambda folder: nullcontext(_Reported(report)),
        )

    with threads(number):
        remembered(workspace, training_step(family_of(family), settings, tiles, compute), train)


class _Reported:
    """A report that sends what it takes as events.

    Args:
        report: Takes the events.
    """

    def __init__(self, report: ReportEvent) -> None:
        self._report = report

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Send metrics."""
        self._report(Metrics(step, dict(values)))

    def pictures(self, step: int, images: np.ndarray, masks: np.ndarray) -> None:
        """Send pairs."""
        self._report(Pictures(step, images, masks))
