"""The tracker of the `kedro run` under way, for nodes, which cannot be handed one."""

from __future__ import annotations

from satsynth.tracking.child import NoTracker
from satsynth.tracking.tracker import Tracker

_ABORT_SECONDS = 10.0
_active: Tracker | None = None


def active_tracker() -> Tracker | NoTracker:
    """Return the tracker of the `kedro run` under way, or one that tracks nothing."""
    return _active or NoTracker()


def use(tracker: Tracker | None) -> None:
    """Make a tracker the current one."""
    global _active
    _active = tracker


def abort() -> None:
    """End the current parent run as killed, if there is one, without waiting long."""
    if _active is not None:
        _active.close("KILLED", _ABORT_SECONDS)
        use(None)
