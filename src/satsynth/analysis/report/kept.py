"""A section of the report that is kept as JSON until a report shows it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from satsynth.analysis.report.page import Section, printable
from satsynth.pairs.pair import decode_image, encode_image


@dataclass(frozen=True)
class KeptSection:
    """A section, and what it rests on: a report of other inputs leaves it out.

    Args:
        section: The section.
        parents: Digests of inputs by name.
    """

    section: Section
    parents: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return it in values that JSON has: printed cells, pictures as PNG in base64, figures as Plotly's JSON."""
        section = self.section
        return {
            "parents": dict(self.parents),
            "title": section.title,
            "text": list(section.text),
            "tables": [
                {
                    "columns": [str(name) for name in table.columns],
                    "rows": [[printable(value) for value in row] for row in table.itertuples(index=False)],
                }
                for table in section.tables
            ],
            "figures": [json.loads(figure.to_json()) for figure in section.figures],
            "images": {
                title: base64.b64encode(encode_image(image)).decode() for title, image in section.images.items()
            },
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> KeptSection:
        """Return what `as_json` was made of."""
        tables = [pd.DataFrame(table["rows"], columns=table["columns"]) for table in kept["tables"]]
        images = {title: decode_image(base64.b64decode(image)) for title, image in kept["images"].items()}
        # Sections that were kept before figures were have none.
        figures = [go.Figure(figure) for figure in kept.get("figures", ())]
        return cls(Section(kept["title"], kept["text"], tables, figures, images), kept["parents"])
