"""The handle of a trained segmentation network: safetensors and JSON on disk."""

from __future__ import annotations

from typing import Any

from satsynth.work.files import read_json
from satsynth.work.finished import TIMING, Finished
from satsynth.work.folder import WorkFolder

WEIGHTS = "model.safetensors"


class SavedNetwork(Finished):
    """A finished network; holds its path and manifest only, and is imported without PyTorch."""

    title = "segmentation network"
    remedy = "kedro run --pipeline=judge"


def run_row(folder: WorkFolder) -> dict[str, Any]:
    """Return the row of a finished run: facts, scores on test, seconds."""
    return {**folder.manifest()["row"], **read_json(folder.result / TIMING)}
