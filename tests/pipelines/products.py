"""Digests of what a project has made: values, without what differs from run to run, such as seconds."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

# Columns and keys that hold seconds of work, or identifiers that are drawn anew.
_TIMES = ("seconds", "minutes")


def products(project: Path) -> dict[str, str]:
    """Return a digest of each product in the newest version, by its path without the version."""
    found = {}
    for file in sorted((project / "data").glob("0[2-8]_*/*/*/*")):
        if file.name.startswith("."):
            continue
        for path in _newest(file):
            found[f"{file.name}/{path.name}" if path != file else file.name] = _digest(path)
    return found


def _newest(entry: Path) -> list[Path]:
    """Return the files of an entry: of its newest version, if it has versions."""
    if entry.is_file():
        return [entry]
    content = [folder / entry.name for folder in sorted(entry.iterdir(), reverse=True)]
    newest = next((path for path in content if path.is_file() or (path / "manifest.json").exists()), None)
    if newest is None or newest.is_file():
        return [newest] if newest else []
    return sorted(path for path in newest.iterdir() if path.name != "timing.json")


def _digest(path: Path) -> str:
    """Return the digest of the values in a file; of an error where they cannot be read."""
    try:
        values = _values(path)
    except Exception as error:
        values = f"{type(error).__name__}: {error}".encode()
    content = values if isinstance(values, bytes) else json.dumps(values, sort_keys=True, default=str).encode()
    return hashlib.sha256(content).hexdigest()


def _values(path: Path) -> Any:
    if path.suffix == ".parquet":
        return _table(pq.read_table(path).to_pandas())
    if path.suffix == ".csv":
        return _table(pd.read_csv(path))
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    if path.suffix == ".html":
        return _page(path.read_text(encoding="utf-8")).encode()
    return path.read_bytes()


def _table(table: pd.DataFrame) -> Any:
    kept = table[[name for name in table.columns if name not in _TIMES]]
    return [list(kept.columns), [str(row) for row in kept.itertuples(index=False)]]


def _page(text: str) -> str:
    """Return a report without the identifiers of its plots and the times that its work took."""
    plain = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "", text)
    # Digests of entries: tables of trainings hold seconds.
    plain = re.sub(r"<td>[0-9a-f]{16}</td>", "<td></td>", plain)
    return re.sub(r"<table.*?</table>", lambda table: _without_times(table[0]), plain, flags=re.DOTALL)


def _without_times(table: str) -> str:
    """Return a table in HTML without its last column, where that holds times."""
    if not any(f"<th>{name}</th></tr>" in table for name in _TIMES):
        return table
    return re.sub(r"<td>[^<]*</td>\s*</tr>", "</tr>", table)
