"""Small results in the formats of Kedro's own data sets, with their origins."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset
from kedro_datasets.plotly import JSONDataset as PlotlyDataset

from satsynth.catalog.recorded import Recorded


class CsvDataset(Recorded, CSVDataset):
    """A table as CSV."""

    def save(self, data: pd.DataFrame) -> None:
        """Write the table."""
        CSVDataset.save(self, data)
        self.record()


class MetricsDataset(Recorded, JSONDataset):
    """Metrics as JSON."""

    def save(self, data: Any) -> None:
        """Write the metrics."""
        JSONDataset.save(self, data)
        self.record()


class FigureDataset(Recorded, PlotlyDataset):
    """A figure of Plotly as JSON."""

    def save(self, data: go.Figure) -> None:
        """Write the figure."""
        PlotlyDataset.save(self, data)
        self.record()
