"""Classes of masks whose values are not exact: soft edges, lossy compression, pictures in place of labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from satsynth.datasets.labels import distances
from satsynth.describing.proposed import ProposedClass, ProposedClasses, is_grey, numbered, ordered, raw_of, seen_of
from satsynth.describing.values import MOST_LABELS, MaskValues

# Soft edges produce many grey values; fewer of them are labels.
LEAST_EDGE_VALUES = 8
CONVERT = (
    "Export them again without loss. If their values are intensities rather than ids, "
    "`masks: {nearest: {largest_distance: ...}}` takes each value for the nearest class."
)
# Colours that are closer are shades of one class.
_SHADE = 48
# Blends of two classes are spread wider than the classes themselves.
_CORE = 16
# Share of the pixels around a colour that is a class.
_NOTABLE = 0.03
_CANDIDATES = 512


def grey_levels(values: MaskValues) -> dict[int, int] | None:
    """Return the number of pixels of each grey level, or None if there are colours."""
    if values.encoding == "index":
        return dict(values.pixels) if max(values.pixels) <= 255 else None
    if not all(map(is_grey, values.pixels)):
        return None
    return {code & 255: count for code, count in values.pixels.items()}


def has_soft_edges(levels: dict[int, int]) -> bool:
    """Return whether grey levels are those of black and white masks with soft edges."""
    between = [level for level in levels if 0 < level < 255]
    ends = levels.get(0, 0) + levels.get(255, 0)
    spread = len(between) >= LEAST_EDGE_VALUES and min(between) < 128 <= max(between)
    return 0 in levels and 255 in levels and spread and ends >= 0.6 * sum(levels.values())


def two_with_edges(values: MaskValues, notes: list[str]) -> ProposedClasses:
    """Propose background and foreground, and take each grey for the nearer one."""
    step = 1 if values.encoding == "index" else 0x010101
    ends = [("background", 0), ("foreground", 255 * step)]
    classes = [
        ProposedClass(name, raw_of(values, code), "#FFFFFF" if code else "#000000", seen_of(values, code))
        for name, code in ends
    ]
    # Euclidean for colours: each of three channels is moved.
    largest = 127 if values.encoding == "index" else 220
    notes.append(
        f"The masks are black and white with grey edges{_by_loss(values)}: greys above 127 are taken for foreground, "
        f"others for background (`masks.nearest`). {_movement(values, [code for _, code in ends])} Rename the classes."
    )
    return ProposedClasses(classes, notes=notes, largest_distance=largest)


def _by_loss(values: MaskValues) -> str:
    return " (or compressed with loss, JPEG)" if values.lossy else ""


def _movement(values: MaskValues, codes: Sequence[int]) -> str:
    """Say which share of the pixels is moved to the nearest class, by how much."""
    apart, counts = _apart(values, codes)
    total = counts.sum()
    shares = ", ".join(f"{counts[apart > least].sum() / total:.2%} by more than {least}" for least in (0, 16, 64))
    return f"Of all pixels, {shares}; the farthest by {apart.max():.3g}."


def _apart(values: MaskValues, codes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of each value to the nearest class, and its number of pixels."""
    seen = np.array(list(values.pixels), np.int64)
    return (
        distances(seen, np.array(codes, np.int64), values.encoding).min(axis=1),
        np.array(list(values.pixels.values())),
    )


def dominant(values: MaskValues, notes: list[str]) -> ProposedClasses:
    """Propose the most frequent values, and take other colours for the nearest of them."""
    frequent = [code for code, _ in values.pixels.most_common(MOST_LABELS) if values.share(code) >= 0.005]
    kept = frequent or [code for code, _ in values.pixels.most_common(2)]
    if values.encoding == "color":
        kept = _centres(values)
    codes = ordered(values, kept)
    why = "are compressed with loss (JPEG)" if values.lossy else "have soft edges, or are pictures rather than labels"
    head = f"The masks hold {len(values.pixels)} distinct values: they {why}. The {len(codes)} most frequent"
    largest = None
    if values.encoding == "color" and len(codes) >= 2:
        apart, _ = _apart(values, codes)
        largest = max(1, math.ceil(apart.max()))
        notes.append(
            f"{head} are proposed as classes, and each other colour is taken for the nearest of them "
            "(`masks.nearest`). "
            f"{_movement(values, codes)} If a rare class is missing, add it to `classes`."
        )
    else:
        # Rounded ids would be other classes.
        notes.append(f"{head} are proposed as classes, but ingestion will refuse these masks. {CONVERT}")
    classes = numbered(values, codes)
    return ProposedClasses(classes, notes=notes, largest_distance=largest)


def _centres(values: MaskValues) -> list[int]:
    """Return colours around which a notable share of the pixels lies, the most frequent first, none near another."""
    seen = np.array(list(values.pixels), np.int64)
    counts = np.array(list(values.pixels.values()))
    kept: list[int] = []
    for code, _ in values.pixels.most_common(_CANDIDATES):
        around = distances(seen, np.array([code], np.int64), "color")[:, 0] <= _CORE
        apart = distances(np.array([code]), np.array(kept or [-1]), "color").min() > _SHADE if kept else True
        if apart and counts[around].sum() >= _NOTABLE * counts.sum():
            kept.append(code)
    return kept
