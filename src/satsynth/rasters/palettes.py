"""Palettes of masks: whether one index means one colour in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from satsynth.rasters.pictures import picture_palette
from satsynth.rasters.reading import TIFF
from satsynth.rasters.tiffs import tiff_palette

LOOKED_AT = 64


def differing_palettes(raw: Path, masks: Sequence[str]) -> tuple[str, str, int] | None:
    """Return two masks and an index that they show in two colours, or None.

    Programs that make PNG files smaller give each file a palette of its own. Then the colours are the labels, and the
    indices, which a description may ask for, mean something else in each file.

    Args:
        raw: The raw folder.
        masks: Paths of masks below it, which can be read; some of them, evenly spread, are looked at.
    """
    shown: dict[int, tuple[tuple[int, ...], str]] = {}
    for mask in masks[:: max(1, len(masks) // LOOKED_AT)]:
        path = raw / mask
        palette = tiff_palette(path) if path.suffix.lower() in TIFF else picture_palette(path)
        for index, color in palette.items():
            known, first = shown.setdefault(index, (color, mask))
            if known != color:
                return first, mask, index
    return None
