"""Limits on YAML files, which may be small and yet stand for more values than fit in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from satsynth.work.errors import DataError

MAX_BYTES = 1 << 20
MAX_VALUES = 100_000
MAX_DEPTH = 50
# The parser in C is ten times as fast, where it is built.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def require_small(path: Path) -> None:
    """Refuse a YAML file whose aliases or brackets make it huge, before anything builds its values.

    A file that is no YAML at all is left to the reader of the configuration.

    Raises:
        DataError: The file is too large, too deep, or has too many values once its aliases are filled in.
    """
    size = path.stat().st_size
    why = f"it has {size:,} bytes, and {MAX_BYTES:,} are allowed" if size > MAX_BYTES else _excess(path.read_bytes())
    if why:
        raise DataError(f"{path} is not read: {why}.", "Write it without aliases (`*name`), or remove the file.")


def _excess(content: bytes) -> str:
    sizes: dict[str, int] = {}
    too_deep = f"its values lie more than {MAX_DEPTH} levels deep"
    # Values in each open list or mapping, and its anchor; the first stands for the whole file.
    opened: list[tuple[int, str | None]] = [(0, None)]
    try:
        for event in yaml.parse(content, Loader=_LOADER):
            count, anchor = 0, getattr(event, "anchor", None)
            if isinstance(event, yaml.AliasEvent):
                # An alias inside of what it names has no end.
                count = sizes.get(str(event.anchor), MAX_VALUES)
            elif isinstance(event, yaml.ScalarEvent):
                count = 1
            elif isinstance(event, yaml.CollectionStartEvent):
                opened.append((1, anchor))
            elif isinstance(event, yaml.CollectionEndEvent):
                count, anchor = opened.pop()
            if anchor is not None and not isinstance(event, yaml.CollectionStartEvent | yaml.AliasEvent):
                sizes[anchor] = count
            opened[-1] = (opened[-1][0] + count, opened[-1][1])
            if opened[-1][0] > MAX_VALUES:
                return f"with its aliases filled in, it has more than {MAX_VALUES:,} values"
            if len(opened) > MAX_DEPTH:
                return too_deep
    except yaml.YAMLError as error:
        # The parser in C has a limit of its own, and reads ahead.
        return too_deep if "nesting depth" in str(error) else ""
    return ""
