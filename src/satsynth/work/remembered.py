"""Steps that are done once: their results are found again by fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from satsynth.work.errors import DamagedError
from satsynth.work.files import atomic, digest_of
from satsynth.work.finished import Finished
from satsynth.work.folder import ASSEMBLY, Step, WorkFolder, renew, shared_work_folder, work_folder
from satsynth.work.locks import PATIENCE
from satsynth.work.placement import PartDone, Share
from satsynth.work.workspace import Workspace

TABLE, TABLE_VERSION = "table.parquet", 2


@dataclass(frozen=True)
class Remembered:
    """The finished work of a step.

    Args:
        folder: Its work folder.
        found: Whether the work had been done before.
    """

    folder: WorkFolder
    found: bool

    @property
    def result(self) -> Path:
        """The folder of the result."""
        return self.folder.result

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of the result."""
        return self.folder.manifest()


def is_remembered(workspace: Workspace, step: Step) -> bool:
    """Return whether `remembered` would find a step's work done."""
    return not workspace.fresh and is_done(workspace.work, step)


def is_done(root: Path, step: Step) -> bool:
    """Return whether a step's work is finished and undamaged; damaged work is set aside, with a warning.

    Args:
        root: Folder of all work.
        step: The step.

    Raises:
        ResourceError: The work is damaged, and another process holds its folder.
    """
    folder = WorkFolder(root, step)
    if folder.finished and folder.damage() is not None:
        # Opening the folder sets aside what is damaged.
        with work_folder(root, step):
            pass
    return folder.finished


def remembered(
    workspace: Workspace,
    step: Step,
    make: Callable[[WorkFolder], object],
    share: Share | None = None,
    patience: float = PATIENCE,
) -> Remembered:
    """Return the finished work of a step, doing it if it was not done before or is damaged.

    Args:
        workspace: Where work is kept.
        step: What identifies the work.
        make: Does the work in the step's folder, and finishes it. Its units are those of the folder's share.
        share: The part of the work's units that is done here, beside other processes that do other parts; whichever
            comes last finishes the work.
        patience: Seconds to wait for another process that does the work, where there are no parts.

    Raises:
        PartDone: The part is done, and others are not.
        ResourceError: Another process holds the folder, or it cannot be written.
        DamagedError: An input of the work is damaged.
    """
    if share is not None:
        with shared_work_folder(workspace.work, step, share) as folder:
            if not folder.finished:
                try:
                    make(folder)
                except PartDone as done:
                    if done.left:
                        raise
    # The others, if they have done their parts too, are about to leave the folder, or one of them is finishing it.
    with work_folder(workspace.work, step, workspace.anew, patience if share is None else ASSEMBLY) as folder:
        found = folder.finished
        if not found:
            try:
                make(folder)
            except DamagedError as damage:
                # Work that was interrupted may be damaged too, which its continuation finds.
                if not damage.path.is_relative_to(folder.path):
                    raise
                renew(folder, damage)
                make(folder)
    return Remembered(folder, found)


def remembered_table(
    workspace: Workspace,
    step: Step,
    make: Callable[[], tuple[pd.DataFrame, Mapping[str, Any]]],
    patience: float = PATIENCE,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a table and figures beside it, computing them if they were not computed before.

    Args:
        workspace: Where work is kept.
        step: What identifies the work.
        make: Computes them.
        patience: Seconds to wait for another process that is computing them.
    """

    def work(folder: WorkFolder) -> None:
        table, figures = make()
        with atomic(folder.result / TABLE) as temporary:
            table.to_parquet(temporary)
        folder.finish({"kind": step.name, "facts": dict(figures)}, [TABLE])

    # Tables made before their digests were kept are computed again.
    step = replace(step, settings={**step.settings, "table_version": TABLE_VERSION})
    done = Finished(remembered(workspace, step, work, patience=patience).result)
    return pd.read_parquet(done.file(TABLE)), dict(done.manifest["facts"])


def frame_digest(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of a small table's content."""
    return digest_of(frame.map(lambda value: value.tolist() if hasattr(value, "tolist") else value).to_dict("list"))
