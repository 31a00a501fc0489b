"""Tracking in MLflow: a run for each `kedro run`, children for trainings, the generator as a model."""

from satsynth.tracking.active import abort, active_tracker, use
from satsynth.tracking.child import Child, NoTracker
from satsynth.tracking.model import ModelToLog
from satsynth.tracking.provenance import DataInput, data_inputs, flat, git_tags, machine_tags, numbers
from satsynth.tracking.tracker import Tracker

__all__ = [
    "Child",
    "DataInput",
    "ModelToLog",
    "NoTracker",
    "Tracker",
    "abort",
    "active_tracker",
    "data_inputs",
    "flat",
    "git_tags",
    "machine_tags",
    "numbers",
    "use",
]
