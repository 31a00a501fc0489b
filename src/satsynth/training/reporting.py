"""What trainings report to while they go on. Whoever starts them hands it in; without, nothing is tracked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Report(Protocol):
    """What one training reports to."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Take metrics after a step."""
        ...


class Silence:
    """A report that ignores everything."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Do nothing."""


SILENCE = Silence()
