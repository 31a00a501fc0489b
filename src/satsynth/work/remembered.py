"""Steps that are done once: their results are found again by fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from satsynth.work.files import atomic, digest_of
from satsynth.work.folder import Step, WorkFolder, work_folder
from satsynth.work.workspace import Workspace


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
    return not workspace.fresh and WorkFolder(workspace.work, step).finished


def remembered(workspace: Workspace, step: Step, make: Callable[[WorkFolder], object]) -> Remembered:
    """Return the finished work of a step, doing it if it was not done before.

    Args:
        workspace: Where work is kept.
        step: What identifies the work.
        make: Does the work in the step's folder, and finishes it.

    Raises:
        ResourceError: Another process holds the folder, or it cannot be written.
    """
    with work_folder(workspace.work, step, workspace.fresh) as folder:
        found = folder.finished
        if not found:
            make(folder)
    return Remembered(folder, found)


def remembered_table(
    workspace: Workspace, step: Step, make: Callable[[], tuple[pd.DataFrame, Mapping[str, Any]]]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a table and figures beside it, computing them if they were not computed before."""

    def work(folder: WorkFolder) -> None:
        table, figures = make()
        with atomic(folder.result / "table.parquet") as temporary:
            table.to_parquet(temporary)
        folder.finish({"kind": step.name, "facts": dict(figures)})

    done = remembered(workspace, step, work)
    return pd.read_parquet(done.result / "table.parquet"), dict(done.manifest["facts"])


def frame_digest(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of a small table's content."""
    return digest_of(frame.map(lambda value: value.tolist() if hasattr(value, "tolist") else value).to_dict("list"))
