"""HTML pages."""

from __future__ import annotations

from pathlib import Path

from kedro_datasets.text import TextDataset

from satsynth.catalog.remedy import REMEDY
from satsynth.work.records import recorded, unchanged


class PageDataset(TextDataset):
    """A text file in UTF-8, regardless of the machine's own encoding, that is written atomically."""

    def load(self) -> str:
        """Return the text.

        Raises:
            DamagedError: The file is not what was written.
        """
        return unchanged(Path(self._get_load_path()), REMEDY).read_text(encoding="utf-8")

    def save(self, data: str) -> None:
        """Write the text atomically."""
        with recorded(Path(self._get_save_path())) as temporary:
            temporary.write_text(data, encoding="utf-8")
