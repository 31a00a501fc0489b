"""Segmentation trainings as child runs in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from satsynth import tracking
from satsynth.pairs.store import PairStore
from satsynth.training.reporting import Report
from satsynth.work.folder import WorkFolder


class TrackedTrainings:
    """Shows each training as a child of the `kedro run` under way.

    Args:
        group: What is put before their names where several sets of pairs are put to work, such as the family of
            generators.
        real: Whether trainings on real pairs only belong to the group too. All families share them.
    """

    def __init__(self, group: str = "", real: bool = False) -> None:
        """Hold the name."""
        self._group, self._real = group, real

    def _titled(self, title: str, inputs: Mapping[str, PairStore]) -> str:
        """Return the name of a training."""
        belongs = self._real or len(inputs) > 1
        return f"{self._group}: {title}" if self._group and belongs else title

    def training(
        self, title: str, params: Mapping[str, Any], folder: WorkFolder, inputs: Mapping[str, PairStore]
    ) -> AbstractContextManager[Report]:
        """Open the child of a training that begins, or the one that it had before an interruption."""
        seen = tracking.data_inputs(**inputs)
        return tracking.active_tracker().child(self._titled(title, inputs), tracking.flat(params), folder, seen)

    def reused(
        self,
        title: str,
        params: Mapping[str, Any],
        folder: WorkFolder,
        values: Mapping[str, float | None],
        inputs: Mapping[str, PairStore],
    ) -> None:
        """Show a training that was done before as a finished child."""
        seen = tracking.data_inputs(**inputs)
        tracking.active_tracker().reused(self._titled(title, inputs), tracking.flat(params), folder, values, seen)
