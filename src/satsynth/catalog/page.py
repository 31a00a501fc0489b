"""HTML pages."""

from __future__ import annotations

from kedro_datasets.text import TextDataset

from satsynth.catalog.recorded import Recorded


class PageDataset(Recorded, TextDataset):
    """A text file in UTF-8, regardless of the machine's own encoding, that is written atomically."""

    def load(self) -> str:
        """Return the text.

        Raises:
            DamagedError: The file is not what was written.
        """
        return self.unchanged_file().read_text(encoding="utf-8")

    def save(self, data: str) -> None:
        """Write the text atomically."""
        with self.recorded_file() as temporary:
            temporary.write_text(data, encoding="utf-8")
