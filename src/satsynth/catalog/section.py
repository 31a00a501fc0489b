"""Sections that a report shows where they are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from satsynth.analysis.report.kept import KeptSection
from satsynth.work.errors import DamagedError
from satsynth.work.files import digest_of, read_json, write_json


class SectionDataset(AbstractDataset[KeptSection, KeptSection | None]):
    """A section of the report; None where no run has made it, which is no reason not to write a report.

    Args:
        filepath: The file.
        pipeline: Name of the pipeline that makes it.
        metadata: Metadata for plugins such as Kedro-Viz.
    """

    def __init__(self, *, filepath: str, pipeline: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath, self._pipeline = filepath, pipeline
        self.metadata = metadata

    def load(self) -> KeptSection | None:
        """Return the section.

        Raises:
            DamagedError: The file is not what was written.
        """
        path, remedy = Path(self._filepath), f"Make it again: kedro run --pipeline={self._pipeline}"
        if not path.exists():
            return None
        try:
            kept = read_json(path)
            if kept["sha256"] == digest_of(kept["section"]):
                return KeptSection.from_json(kept["section"])
        except DamagedError as error:
            raise DamagedError(path, error.how, remedy) from None
        except (KeyError, TypeError):
            pass
        raise DamagedError(path, "its content does not fit its digest", remedy)

    def save(self, data: KeptSection) -> None:
        """Write the section atomically."""
        content = data.as_json()
        write_json(Path(self._filepath), {"sha256": digest_of(content), "section": content})

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
