"""Parquet tables that are written atomically and may have columns of lists, such as windows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
from kedro_datasets._typing import TablePreview
from kedro_datasets.pandas import ParquetDataset

from satsynth.catalog.recorded import Recorded
from satsynth.work.errors import DamagedError
from satsynth.work.origins import REMEDY


class TableDataset(Recorded, ParquetDataset):
    """A Parquet table. Its preview shows lists as text, since Kedro-Viz does not support arrays."""

    def save(self, data: pd.DataFrame) -> None:
        """Write the table atomically, so that a killed process cannot leave half a table as the newest version."""
        with self.recorded_file() as temporary:
            data.to_parquet(temporary, **{"write_page_checksum": True, **self._save_args})

    def load(self) -> pd.DataFrame:
        """Return the table; the pages of one without an origin are compared with their checksums.

        Raises:
            DamagedError: The file is not what was written.
        """
        path = Path(self._get_load_path())
        try:
            return pd.read_parquet(self.unchanged_file(), **{"page_checksum_verification": True, **self._load_args})
        except (pa.ArrowException, OSError, ValueError) as error:
            if not path.exists():
                raise
            raise DamagedError(path, f"it cannot be read as a table ({error})", REMEDY) from error

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows for Kedro-Viz."""
        rows = self.load().head(nrows)
        text = rows.map(lambda value: str(value.tolist()) if hasattr(value, "tolist") else value)
        return TablePreview(text.astype(object).where(rows.notna(), None).to_dict(orient="split"))
