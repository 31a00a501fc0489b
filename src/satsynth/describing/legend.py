"""Names of classes from a file beside the masks."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from satsynth.datasets.description import parse_color
from satsynth.datasets.places import is_inside

LARGEST = 1 << 20
_NAME_KEYS = ("name", "title", "label", "class", "class_name")
_COLOR_KEYS = ("color", "colour", "hex")
_VALUE_KEYS = ("raw", "id", "value", *_COLOR_KEYS)


@dataclass
class Legend:
    """Names and colours of raw values (ids, or colours as 0xRRGGBB) according to a file.

    Args:
        file: Path of the file below the folder.
        names: Name of each value, in the file's order.
        colors: Display colour of values as `#RRGGBB`, if the file has one.
        ignore: Values that belong to no class.
    """

    file: str
    names: dict[int, str] = field(default_factory=dict)
    colors: dict[int, str] = field(default_factory=dict)
    ignore: list[int] = field(default_factory=list)


def find_legends(folder: Path, encoding: str) -> list[Legend]:
    """Read the JSON and CSV files at the top of a folder that name classes.

    Args:
        folder: The folder.
        encoding: Kind of the values to find, `index` or `color`.
    """
    found = []
    for path in sorted(folder.iterdir()):
        named = any(word in path.name.lower() for word in ("class", "label", "legend", "palette"))
        if not (path.is_file() and is_inside(folder, path) and named and path.stat().st_size <= LARGEST):
            continue
        try:
            text = path.read_text(encoding="utf-8-sig")
            content = json.loads(text) if path.suffix == ".json" else list(csv.DictReader(io.StringIO(text)))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError, csv.Error, RecursionError):
            continue
        legend = Legend(path.name)
        for entry in _entries(content):
            _take(legend, {str(key).strip().lower(): value for key, value in entry.items()}, encoding)
        if isinstance(content, dict):
            codes = (_code(value, encoding) for value in content.get("ignore") or [])
            legend.ignore = [code for code in codes if code is not None]
        if legend.names:
            found.append(legend)
    return found


def _entries(content: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(content, dict):
        content = content.get("classes") or content.get("labels") or content.get("categories") or []
    if isinstance(content, list):
        yield from (entry for entry in content if isinstance(entry, dict))


def _take(legend: Legend, entry: Mapping[str, Any], encoding: str) -> None:
    name = next((str(entry[key]).strip() for key in _NAME_KEYS if entry.get(key)), None)
    values = [entry[key] for key in _VALUE_KEYS if entry.get(key) is not None]
    if {"r", "g", "b"} <= entry.keys():
        values.append([entry["r"], entry["g"], entry["b"]])
    code = next((code for value in values if (code := _code(value, encoding)) is not None), None)
    if name is None or code is None:
        return
    legend.names[code] = name
    shown = [entry.get(key) for key in _COLOR_KEYS] + values
    colors = (_code(value, "color") for value in shown if isinstance(value, (list, tuple)) or "#" in str(value))
    color = next((color for color in colors if color is not None), None)
    if color is not None:
        legend.colors[code] = f"#{color:06X}"


def _code(value: Any, encoding: str) -> int | None:
    """Return an id, or a colour as 0xRRGGBB, or None if a value is neither."""
    try:
        if encoding == "index":
            return int(value) if not isinstance(value, (list, tuple, bool)) else None
        red, green, blue = (int(channel) for channel in parse_color(value))
    except (TypeError, ValueError):
        return None
    return (red << 16) | (green << 8) | blue if all(0 <= v <= 255 for v in (red, green, blue)) else None
