"""Propose classes from the attributes of polygons."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.describing.proposed import ProposedClass, ProposedClasses, display_color
from satsynth.describing.values import MOST_LABELS
from satsynth.rasters.cache import unreadable
from satsynth.rasters.vectors import attribute_text, vector_info
from satsynth.work.errors import DataError

_LIKELY = ("class", "label", "category", "type", "kind", "landuse", "landcover", "name")
OUTSIDE = "background"


def propose_vector_labels(
    folder: Path, files: Sequence[str], limit: int
) -> tuple[dict[str, Any], ProposedClasses, list[str]]:
    """Propose the field `masks` and classes from polygons.

    Args:
        folder: Folder of the files.
        files: Their paths below it.
        limit: Number of evenly spaced files to read at most, or 0 for all of them.

    Returns:
        The field `masks`, the classes, and notes on what is uncertain.

    Raises:
        DataError: A file cannot be read, or no attribute could be the class.
    """
    chosen = list(files)
    if 0 < limit < len(chosen):
        chosen = [files[int(i)] for i in np.linspace(0, len(files) - 1, limit).round()]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for file in chosen:
        for name, values in _attributes(folder / file).items():
            counts[name].update(values)
    attribute = _most_likely(counts)
    if attribute is None:
        raise DataError(
            f"No attribute of the polygons could be the class; their attributes are {', '.join(counts) or 'none'}.",
            f"Add an attribute with at most {MOST_LABELS} different values.",
        )
    seen = counts[attribute]
    classes = [ProposedClass(OUTSIDE, "-", "#000000", "not covered by a polygon")] if OUTSIDE not in seen else []
    classes += [
        ProposedClass(value, value, display_color(place), f"{seen[value]} polygons")
        for place, value in enumerate(sorted(seen))
    ]
    others = [name for name in counts if name != attribute and 1 < len(counts[name]) <= MOST_LABELS]
    notes = [
        f"The attribute `{attribute}` is assumed to be the class"
        + (f"; other candidates: {', '.join(others)}." if others else "."),
        f"Pixels that no polygon covers get the class {OUTSIDE}. Without `outside` they are ignored, which is better "
        "if the polygons do not label everything.",
    ]
    if len(chosen) < len(files):
        notes.append(f"{len(chosen)} of {len(files)} files were read; --masks=0 reads all of them.")
    masks = {"encoding": "attribute", "reader": "vector", "attribute": attribute, "outside": OUTSIDE}
    return masks, ProposedClasses(classes), notes


def _attributes(path: Path) -> dict[str, list[str]]:
    """Return the values of each attribute as text."""
    from pyogrio.errors import DataSourceError
    from pyogrio.raw import read

    layer = vector_info(path, None).layer
    try:
        meta, _, _, columns = read(path, layer=layer, read_geometry=False)
    except DataSourceError as error:
        raise unreadable(path, error) from error
    return {
        str(name): [attribute_text(value) for value in column]
        for name, column in zip(meta["fields"], columns, strict=True)
    }


def _most_likely(counts: dict[str, Counter[str]]) -> str | None:
    """Return the attribute that is most likely the class: by its name, or else the one with the fewest (2+) values."""
    usable = [name for name in counts if len(counts[name]) <= MOST_LABELS]
    named = [name for word in _LIKELY for name in usable if word in name.lower()]
    several = sorted((name for name in usable if len(counts[name]) > 1), key=lambda name: len(counts[name]))
    return next(iter([*named, *several, *usable]), None)
