"""Tables with columns of lists, such as windows."""

from __future__ import annotations

from kedro_datasets._typing import TablePreview
from kedro_datasets.pandas import ParquetDataset


class ListTableDataset(ParquetDataset):
    """A Parquet table; its preview shows lists as text, which Kedro-Viz cannot take as arrays."""

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows, for Kedro-Viz."""
        rows = self.load().head(nrows)
        text = rows.map(lambda value: str(value.tolist()) if hasattr(value, "tolist") else value)
        return TablePreview(text.astype(object).where(rows.notna(), None).to_dict(orient="split"))
