"""Who keeps records of the trainings of a grid. Whoever starts them hands it in; without, nothing is tracked."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from satsynth.pairs.store import PairStore
from satsynth.training.reporting import SILENCE, Report
from satsynth.work.folder import WorkFolder


class TrainingTracker(Protocol):
    """Keeps a record of each training."""

    def training(
        self, title: str, params: Mapping[str, Any], folder: WorkFolder, inputs: Mapping[str, PairStore]
    ) -> AbstractContextManager[Report]:
        """Open the record of a training that begins or continues; it is closed when the block ends.

        Args:
            title: Name of the training.
            params: Nested parameters that identify it.
            folder: Its work folder.
            inputs: The pair stores that it sees, by their names in the catalog.
        """
        ...

    def reused(
        self,
        title: str,
        params: Mapping[str, Any],
        folder: WorkFolder,
        values: Mapping[str, float | None],
        inputs: Mapping[str, PairStore],
    ) -> None:
        """Take note of a training that was done before; ``values`` are its final metrics."""
        ...


class Untracked:
    """A tracker that keeps nothing."""

    def training(
        self, title: str, params: Mapping[str, Any], folder: WorkFolder, inputs: Mapping[str, PairStore]
    ) -> AbstractContextManager[Report]:
        """Return a report that ignores everything."""
        return nullcontext(SILENCE)

    def reused(
        self,
        title: str,
        params: Mapping[str, Any],
        folder: WorkFolder,
        values: Mapping[str, float | None],
        inputs: Mapping[str, PairStore],
    ) -> None:
        """Do nothing."""


UNTRACKED = Untracked()
