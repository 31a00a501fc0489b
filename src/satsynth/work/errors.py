"""The errors that a user is meant to read."""

from __future__ import annotations

from collections.abc import Sequence


class SatSynthError(Exception):
    """An error shown to the user as one message, without a traceback.

    Args:
        problem: What was found, where (file, row, parameter), and what was expected.
        remedy: What to do about it.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        """Keep both parts, so that errors survive pickling and can be listed together."""
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        """Return what the user reads."""
        return f"{self.problem}\n  What to do: {self.remedy}" if self.remedy else self.problem


class DataError(SatSynthError):
    """Raw data, or a description of them, that cannot be used."""


class AncestryError(SatSynthError):
    """Inputs that do not descend from one another."""


class ResourceError(SatSynthError):
    """Something that this machine lacks: a device, disk space, a lock, a download."""


def listing(items: Sequence[str], limit: int = 20) -> str:
    """Join items one a line, naming how many were left out beyond ``limit``."""
    lines = [f"  - {item}" for item in items[:limit]]
    if len(items) > limit:
        lines.append(f"  ... and {len(items) - limit} more")
    return "\n".join(lines)
