"""Handles of finished folders: small, picklable, without the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from satsynth.work.errors import SatSynthError
from satsynth.work.files import MANIFEST, read_json

TIMING = "timing.json"


class Finished:
    """A folder that its manifest declares complete.

    Args:
        path: The folder.

    Raises:
        SatSynthError: There is no manifest.
    """

    title: ClassVar[str] = "result"
    remedy: ClassVar[str] = "Run the pipeline that makes it."

    def __init__(self, path: Path) -> None:
        """Read the manifest."""
        if not (path / MANIFEST).exists():
            raise SatSynthError(f"{path} holds no finished {self.title}: {MANIFEST} is missing.", self.remedy)
        self.path = path
        self.manifest: dict[str, Any] = read_json(path / MANIFEST)

    @property
    def digest(self) -> str:
        """SHA-256 of the whole content."""
        return str(self.manifest["digest"])

    @property
    def seconds(self) -> float | None:
        """Seconds of work that it took; None if they were not recorded."""
        # Beside the manifest: the time taken is no part of what the result is.
        file = self.path / TIMING
        return float(read_json(file)["seconds"]) if file.exists() else None

    @property
    def parents(self) -> dict[str, str]:
        """Digests of what it was made from, by name."""
        return dict(self.manifest["parents"])
