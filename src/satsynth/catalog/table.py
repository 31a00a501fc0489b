"""Tables that are written atomically and verified at each read. Those in Parquet may have columns of lists."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
from kedro_datasets._typing import TablePreview
from kedro_datasets.pandas import CSVDataset, ParquetDataset

from satsynth.catalog.remedy import REMEDY
from satsynth.work.errors import DamagedError
from satsynth.work.records import recorded, unchanged


class TableDataset(ParquetDataset):
    """A Parquet table. Its preview shows lists as text, since Kedro-Viz does not support arrays."""

    def save(self, data: pd.DataFrame) -> None:
        """Write the table atomically, so that a killed process cannot leave half a table as the newest version."""
        with recorded(Path(self._get_save_path())) as temporary:
            data.to_parquet(temporary, **{"write_page_checksum": True, **self._save_args})

    def load(self) -> pd.DataFrame:
        """Return the table; the pages of one without a record are compared with their checksums.

        Raises:
            DamagedError: The file is not what was written.
        """
        path = Path(self._get_load_path())
        try:
            return pd.read_parquet(unchanged(path, REMEDY), **{"page_checksum_verification": True, **self._load_args})
        except (pa.ArrowException, OSError, ValueError) as error:
            if not path.exists():
                raise
            raise DamagedError(path, f"it cannot be read as a table ({error})", REMEDY) from error

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows for Kedro-Viz."""
        rows = self.load().head(nrows)
        text = rows.map(lambda value: str(value.tolist()) if hasattr(value, "tolist") else value)
        return TablePreview(text.astype(object).where(rows.notna(), None).to_dict(orient="split"))


class CsvDataset(CSVDataset):
    """A table as text, with commas."""

    def save(self, data: pd.DataFrame) -> None:
        """Write the table atomically."""
        with recorded(Path(self._get_save_path())) as temporary:
            data.to_csv(temporary, **self._save_args)

    def load(self) -> pd.DataFrame:
        """Return the table.

        Raises:
            DamagedError: The file is not what was written.
        """
        table = pd.read_csv(unchanged(Path(self._get_load_path()), REMEDY), **self._load_args)
        assert isinstance(table, pd.DataFrame)
        return table
