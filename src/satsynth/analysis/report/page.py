"""The report: one HTML file that needs no network."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs


@dataclass
class Section:
    """One part of the report.

    Args:
        title: Heading.
        text: Paragraphs that explain how to read it; names between backticks are shown as code.
        tables: Shown in full; numbers are shortened.
        figures: Interactive.
        images: Pictures ``(H, W, 3)`` uint8 RGB by what they show.
        code: Text shown as it is.
    """

    title: str
    text: Sequence[str] = ()
    tables: Sequence[pd.DataFrame] = ()
    figures: Sequence[go.Figure] = ()
    images: Mapping[str, np.ndarray] = field(default_factory=dict)
    code: str = ""


def report_html(title: str, verdict: Mapping[str, Sequence[str]], sections: Sequence[Section]) -> str:
    """Return the report as one HTML page that contains its scripts, figures and pictures.

    Args:
        title: Name of the data set.
        verdict: Sentences by question, shown first.
        sections: What follows.
    """
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    parts = [
        {
            "title": section.title,
            "text": [_paragraph(text) for text in section.text],
            "tables": [_table(table) for table in section.tables],
            "figures": [_figure(figure) for figure in section.figures],
            "images": [{"text": text, "source": _source(image)} for text, image in section.images.items()],
            "code": section.code,
        }
        for section in sections
    ]
    page = environment.get_template("report.html.j2")
    return page.render(title=title, verdict=verdict, sections=parts, plotly_js=Markup(get_plotlyjs()))


def _paragraph(text: str) -> Markup:
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _table(table: pd.DataFrame) -> dict[str, Any]:
    return {
        "columns": [str(name) for name in table.columns],
        "rows": [[printable(value) for value in row] for row in table.itertuples(index=False)],
    }


def _figure(figure: go.Figure) -> Markup:
    # A title inside the figure is cut off on a phone.
    shown = go.Figure(figure).update_layout(title=None, margin={"t": 20})
    options = {"responsive": True, "displaylogo": False}
    page = shown.to_html(full_html=False, include_plotlyjs=False, config=options, default_height="420px")
    caption = Markup('<p class="note">{}</p>').format(figure.layout.title.text or "")
    return caption + Markup(page)


def _source(image: np.ndarray) -> str:
    """Return a picture as a JPEG in a `data:` address: galleries as PNG would take tens of megabytes."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not done:
        raise RuntimeError(f"OpenCV could not encode a picture of shape {image.shape} as JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def printable(value: Any) -> str:
    """Return a cell of a table as text: numbers shortened, unknown values as a dash."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return str(value)
