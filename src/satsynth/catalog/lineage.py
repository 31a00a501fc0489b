"""What the inputs of a step rest on, as one of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from satsynth.catalog.recorded import gathered
from satsynth.work.errors import SatSynthError
from satsynth.work.origins import Origin, StepSettings


class LineageDataset(AbstractDataset[Any, dict[str, Any]]):
    """Digests and parameters that the other inputs of a step were made with, as they were recorded.

    Args:
        filepath: Folder of the origins of entries without versions.
        metadata: Metadata for plugins such as Kedro-Viz.
    """

    # Set when a run begins.
    inputs: Mapping[str, Path | Origin] = {}
    settings: Mapping[str, StepSettings] = {}

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = filepath
        self.metadata = metadata

    def load(self) -> dict[str, Any]:
        """Return ``digests``, by entry, and ``settings``: parameters by step and group."""
        return {"digests": gathered(self.inputs), "settings": dict(self.settings)}

    def save(self, data: Any) -> None:
        """Refuse to save.

        Raises:
            SatSynthError: Always.
        """
        raise SatSynthError("What a step rests on is recorded, not saved.", "Leave it out of the outputs of nodes.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
