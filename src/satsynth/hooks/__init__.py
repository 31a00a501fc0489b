"""Kedro hooks: checks before a run, tracking during it, the summary after it."""

from satsynth.hooks.project import ProjectHooks
from satsynth.hooks.tracked import TrackingHooks

__all__ = ["ProjectHooks", "TrackingHooks"]
