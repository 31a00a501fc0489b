"""JSON: figures of Plotly and nested values, whose files are written atomically and verified at each read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio
from kedro_datasets._typing import PlotlyPreview
from kedro_datasets.json import JSONDataset
from kedro_datasets.plotly import JSONDataset as PlotlyDataset

from satsynth.catalog.remedy import REMEDY
from satsynth.work.records import recorded, unchanged


class ValuesDataset(JSONDataset):
    """Nested values."""

    def load(self) -> Any:
        """Return the values.

        Raises:
            DamagedError: The file is not what was written.
        """
        return json.loads(unchanged(Path(self._get_load_path()), REMEDY).read_text(encoding="utf-8"))

    def save(self, data: Any) -> None:
        """Write the values atomically."""
        with recorded(Path(self._get_save_path())) as temporary:
            temporary.write_text(json.dumps(data, **self._save_args), encoding="utf-8")


class FigureDataset(PlotlyDataset):
    """A figure of Plotly."""

    def load(self) -> go.Figure:
        """Return the figure.

        Raises:
            DamagedError: The file is not what was written.
        """
        return pio.from_json(self._text(), **self._load_args)

    def save(self, data: go.Figure) -> None:
        """Write the figure atomically."""
        with recorded(Path(self._get_save_path())) as temporary:
            data.write_json(temporary, **self._save_args)

    def preview(self) -> PlotlyPreview:
        """Return the figure for Kedro-Viz."""
        return PlotlyPreview(json.loads(self._text()))

    def _text(self) -> str:
        return unchanged(Path(self._get_load_path()), REMEDY).read_text(encoding="utf-8")
