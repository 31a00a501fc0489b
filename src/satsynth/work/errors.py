"""The errors that a user is meant to read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


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
        """Return what the user reads, safe for a terminal whatever names and values of files it contains."""
        return printable(f"{self.problem}\n  What to do: {self.remedy}" if self.remedy else self.problem)


def printable(text: str, allowed: str = "\n\t") -> str:
    """Return a text with escapes in place of what a terminal would obey or hide.

    Args:
        text: The text; may hold names of files, which may hold any character.
        allowed: Characters that stay.
    """
    return "".join(
        letter if letter.isprintable() or letter in allowed else letter.encode("unicode_escape").decode()
        for letter in text
    )


class DataError(SatSynthError):
    """Raw data, or a description of them, that cannot be used."""


class AncestryError(SatSynthError):
    """Inputs that do not descend from one another."""


class DamagedError(SatSynthError):
    """A file of ours whose content is not what was written.

    Args:
        path: The file.
        how: What is wrong with it, to follow its name.
        remedy: What to do about it.
    """

    def __init__(self, path: Path, how: str, remedy: str) -> None:
        """Keep the file, so that whoever owns it can make it again."""
        super().__init__(f"{path} is damaged: {how}.", remedy)
        self.path = path
        self.how = how

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling: worker processes raise it too."""
        return type(self), (self.path, self.how, self.remedy)


class ResourceError(SatSynthError):
    """Something that this machine lacks: a device, disk space, a lock, a download."""


def listing(items: Sequence[str], limit: int = 20) -> str:
    """Join items one a line, naming how many were left out beyond ``limit``."""
    lines = [f"  - {item}" for item in items[:limit]]
    if len(items) > limit:
        lines.append(f"  ... and {len(items) - limit} more")
    return "\n".join(lines)
