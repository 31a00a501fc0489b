"""Parquet tables, written atomically, also with columns of lists such as windows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from kedro_datasets._typing import TablePreview
from kedro_datasets.pandas import ParquetDataset

from satsynth.work.files import atomic


class TableDataset(ParquetDataset):
    """A Parquet table that is whole or not there; its preview shows lists as text, since Kedro-Viz takes no arrays."""

    def save(self, data: pd.DataFrame) -> None:
        """Write the table atomically: a kill must not leave half a table as the newest version."""
        with atomic(Path(self._get_save_path())) as temporary:
            data.to_parquet(temporary, **self._save_args)

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows, for Kedro-Viz."""
        rows = self.load().head(nrows)
        text = rows.map(lambda value: str(value.tolist()) if hasattr(value, "tolist") else value)
        return TablePreview(text.astype(object).where(rows.notna(), None).to_dict(orient="split"))
