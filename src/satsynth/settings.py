"""Kedro's settings of this project."""

from satsynth.configuration import ProjectConfigLoader
from satsynth.hooks import ProjectHooks, TrackingHooks

# The last one is called first: what is refused is refused before a run is tracked.
HOOKS = (TrackingHooks(), ProjectHooks())
CONFIG_LOADER_CLASS = ProjectConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment names only the leaves that differ.
    "merge_strategy": {"parameters": "soft", "globals": "soft"},
}
