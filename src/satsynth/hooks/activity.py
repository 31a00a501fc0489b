"""What the run under way is doing: for the words of an error that nobody expected."""

from __future__ import annotations

_now: list[str] = []


def begin(what: str) -> None:
    """Note what is being done, in the form of "the step `draw_pairs`"."""
    _now[:] = [what]


def end() -> None:
    """Note that nothing is being done."""
    _now.clear()


def under_way() -> str:
    """Return what is being done; empty where that is not known."""
    return _now[0] if _now else ""
