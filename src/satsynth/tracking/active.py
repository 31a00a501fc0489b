"""The tracker of the `kedro run` under way, for nodes, which cannot be handed one."""

from __future__ import annotations

from satsynth.tracking.child import NoTracker
from satsynth.tracking.tracker import Tracker

_ABORT_SECONDS = 10.0
_current: Tracker | None = None


def current() -> Tracker | NoTracker:
    """Return the tracker of the `kedro run` under way, or one that tracks nothing."""
    return _current or NoTracker()


def use(tracker: Tracker | None) -> None:
    """Make a tracker the current one."""
    global _current
    _current = tracker


def abort() -> None:
    """End the current parent run as killed, if there is one, without waiting long."""
    if _current is not None:
        _current.close("KILLED", _ABORT_SECONDS)
        use(None)
