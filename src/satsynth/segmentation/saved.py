"""The handle of a trained segmentation network: safetensors and JSON on disk."""

from __future__ import annotations

from typing import Any

from satsynth.segmentation.settings import SegmentationNetwork
from satsynth.work.finished import Finished, read_timing
from satsynth.work.folder import WorkFolder

WEIGHTS = "model.safetensors"
# The scores on test that tracking shows, by their columns.
SCORES = ("miou", "mf1", "accuracy", "boundary_f1")


class SavedNetwork(Finished):
    """A finished network; holds its path and manifest only, and is imported without PyTorch."""

    title = "segmentation network"
    remedy = "kedro run --pipeline=judge"

    @property
    def network(self) -> SegmentationNetwork:
        """Which network it is; its own weights take the place of pre-trained ones."""
        return SegmentationNetwork(**{**self.manifest["network"], "weights": None})

    @property
    def class_names(self) -> list[str]:
        """Names of the classes that it predicts, in order of the class index."""
        return list(self.manifest["classes"])


def training_row(folder: WorkFolder) -> dict[str, Any]:
    """Return the row of a finished training: what identifies it, scores on test, seconds."""
    return {**folder.manifest()["row"], "seconds": read_timing(folder.result)}
