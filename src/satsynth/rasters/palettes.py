"""Palettes of masks: check that each index has the same colour in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from satsynth.rasters.arrays import is_array
from satsynth.rasters.opening import by_window
from satsynth.rasters.pictures import picture_palette
from satsynth.rasters.tiffs import tiff_palette

MASKS_READ = 64


def differing_palettes(raw: Path, masks: Sequence[str]) -> tuple[str, str, int] | None:
    """Return two masks and an index that has different colours in them, or None.

    Programs that compress PNG files give each file its own palette. The colours are then the labels, while an index
    means something different in each file.

    Args:
        raw: The raw folder.
        masks: Paths of readable masks below it. An evenly spaced sample of them is read.
    """
    shown: dict[int, tuple[tuple[int, ...], str]] = {}
    for mask in masks[:: max(1, len(masks) // MASKS_READ)]:
        path = raw / mask
        if is_array(path):
            continue
        palette = tiff_palette(path) if by_window(path) else picture_palette(path)
        for index, color in palette.items():
            known, first = shown.setdefault(index, (color, mask))
            if known != color:
                return first, mask, index
    return None
