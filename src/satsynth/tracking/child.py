"""A child run as a training sees it, and the tracker that tracks nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from satsynth.tracking.provenance import DataInput
from satsynth.work.folder import WorkFolder


class Target(Protocol):
    """What takes metrics and pictures of runs by their key."""

    def metrics(self, key: str, step: int, values: Mapping[str, float | None]) -> None:
        """Take metrics at a step."""
        ...

    def image(self, key: str, step: int, name: str, picture: np.ndarray) -> None:
        """Take a picture ``(H, W, 3)`` uint8 at a step."""
        ...


class Child:
    """A child run under way.

    Args:
        tracker: Its tracker.
        key: What it is known by there.
    """

    def __init__(self, tracker: Target, key: str) -> None:
        self._tracker, self._key = tracker, key

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Log metrics at a step."""
        self._tracker.metrics(self._key, step, values)

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        """Log a picture ``(H, W, 3)`` uint8 at a step."""
        self._tracker.image(self._key, step, name, picture)


class NoTracker:
    """Stands in where nothing is tracked."""

    @contextmanager
    def child(
        self, name: str, params: Mapping[str, str], folder: WorkFolder, inputs: Sequence[DataInput] = ()
    ) -> Iterator[Child]:
        """Track nothing."""
        yield Child(self, name)

    def reused(
        self,
        name: str,
        params: Mapping[str, str],
        folder: WorkFolder,
        values: Mapping[str, float | None],
        inputs: Sequence[DataInput] = (),
    ) -> None:
        """Track nothing."""

    def finished(self, name: str, params: Mapping[str, str], values: Mapping[str, float | None]) -> None:
        """Track nothing."""

    def metrics(self, key: str, step: int, values: Mapping[str, float | None]) -> None:
        """Track nothing."""

    def image(self, key: str, step: int, name: str, picture: np.ndarray) -> None:
        """Track nothing."""
