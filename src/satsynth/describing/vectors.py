"""Classes from the attributes of polygons."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.describing.classes import ProposedClass, ProposedClasses, display_color
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
        folder: Where the files are.
        files: Their paths below it.
        limit: Read at most so many, evenly spaced; all of them if 0.

    Returns:
        The field `masks`, classes, and what is not certain about the former.

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
            f"No attribute of the polygons could be the class: {', '.join(counts) or 'there is none'}.",
            f"Give them one with at most {MOST_LABELS} different values.",
        )
    seen = counts[attribute]
    classes = [ProposedClass(OUTSIDE, "-", "#000000", "what no polygon covers")] if OUTSIDE not in seen else []
    classes += [
        ProposedClass(value, value, display_color(place), f"{seen[value]} polygons")
        for place, value in enumerate(sorted(seen))
    ]
    others = [name for name in counts if name != attribute and 1 < len(counts[name]) <= MOST_LABELS]
    notes = [
        f"The attribute `{attribute}` was taken for the class" + (f"; others: {', '.join(others)}." if others else "."),
        f"Pixels that no polygon covers are the class {OUTSIDE}. Without `outside` they are ignored: better where "
        "polygons do not label everything.",
    ]
    if len(chosen) < len(files):
        notes.append(f"{len(chosen)} of {len(files)} files were looked at; --masks=0 looks at all.")
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
    """Return the attribute that most likely is the class: by its name, else the one of fewest values, but several."""
    usable = [name for name in counts if len(counts[name]) <= MOST_LABELS]
    named = [name for word in _LIKELY for name in usable if word in name.lower()]
    several = sorted((name for name in usable if len(counts[name]) > 1), key=lambda name: len(counts[name]))
    return next(iter([*named, *several, *usable]), None)
