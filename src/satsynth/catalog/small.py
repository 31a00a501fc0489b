"""Small results as text: written atomically, with their origins, and verified at each read."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
from kedro_datasets._typing import PlotlyPreview
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset
from kedro_datasets.plotly import JSONDataset as PlotlyDataset

from satsynth.catalog.recorded import Recorded


class CsvDataset(Recorded, CSVDataset):
    """A table with commas."""

    def load(self) -> pd.DataFrame:
        """Return the table.

        Raises:
            DamagedError: The file is not what was written.
        """
        table = pd.read_csv(self.unchanged_file(), **self._load_args)
        assert isinstance(table, pd.DataFrame)
        return table

    def save(self, data: pd.DataFrame) -> None:
        """Write the table."""
        with self.recorded_file() as temporary:
            data.to_csv(temporary, **self._save_args)


class MetricsDataset(Recorded, JSONDataset):
    """Metrics as JSON."""

    def load(self) -> Any:
        """Return the metrics.

        Raises:
            DamagedError: The file is not what was written.
        """
        return json.loads(self.unchanged_file().read_text(encoding="utf-8"))

    def save(self, data: Any) -> None:
        """Write the metrics."""
        with self.recorded_file() as temporary:
            temporary.write_text(json.dumps(data, **self._save_args), encoding="utf-8")


class FigureDataset(Recorded, PlotlyDataset):
    """A figure of Plotly as JSON."""

    def load(self) -> go.Figure:
        """Return the figure.

        Raises:
            DamagedError: The file is not what was written.
        """
        return pio.from_json(self._text(), **self._load_args)

    def save(self, data: go.Figure) -> None:
        """Write the figure."""
        with self.recorded_file() as temporary:
            data.write_json(temporary, **self._save_args)

    def preview(self) -> PlotlyPreview:
        """Return the figure for Kedro-Viz."""
        return PlotlyPreview(json.loads(self._text()))

    def _text(self) -> str:
        return self.unchanged_file().read_text(encoding="utf-8")
