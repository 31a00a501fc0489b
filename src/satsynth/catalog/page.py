"""HTML pages."""

from __future__ import annotations

from pathlib import Path

from kedro_datasets.text import TextDataset

from satsynth.catalog.recorded import Recorded
from satsynth.work.files import atomic


class PageDataset(Recorded, TextDataset):
    """A text file in UTF-8, regardless of the machine's own encoding, that is written atomically."""

    def load(self) -> str:
        """Return the text."""
        return Path(self._get_load_path()).read_text(encoding="utf-8")

    def save(self, data: str) -> None:
        """Write the text atomically."""
        with atomic(Path(self._get_save_path())) as temporary:
            temporary.write_text(data, encoding="utf-8")
        self.record()
