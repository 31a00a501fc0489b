"""Labelled outlines in pixels of an image, and how they become masks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.rasters.cache import unreadable
from satsynth.rasters.handles import Window
from satsynth.work.errors import DataError

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Outline:
    """One labelled object.

    Args:
        label: Its label.
        rings: Polygons as corners (x, y) in pixels; (0, 0) is the upper left corner of the image. Their union counts.
        cells: ``(h, w)`` bool, or None: its pixels, instead of polygons.
        place: Column and row of the first of these pixels.
    """

    label: str
    rings: list[Points] = field(default_factory=list)
    cells: np.ndarray | None = None
    place: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Annotated:
    """All outlines of an image, and the size that their file gives for it, if it does."""

    outlines: list[Outline]
    height: int | None = None
    width: int | None = None


def painted(outlines: Sequence[Outline], codes: Sequence[int], window: Window, outside: int) -> np.ndarray:
    """Rasterise outlines: a pixel belongs to the last outline that contains its centre.

    Args:
        outlines: The outlines.
        codes: Class index of each.
        window: (x, y, width, height) in the image's pixels.
        outside: Class index of all other pixels.

    Returns:
        ``(height, width)`` uint8.
    """
    from affine import Affine
    from rasterio.features import rasterize

    x, y, width, height = window
    mask = np.full((height, width), outside, np.uint8)
    waiting: list[tuple[dict[str, Any], int]] = []

    def burn() -> None:
        if waiting:
            rasterize(waiting, out=mask, transform=Affine.translation(x, y))
            waiting.clear()

    for outline, code in zip(outlines, codes, strict=True):
        waiting += [
            ({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}, code) for ring in outline.rings if len(ring) >= 3
        ]
        if outline.cells is not None:
            burn()
            _stamp(mask, outline.cells, (outline.place[0] - x, outline.place[1] - y), code)
    burn()
    return mask


def _stamp(mask: np.ndarray, cells: np.ndarray, place: tuple[int, int], code: int) -> None:
    left, top = place
    part = cells[max(0, -top) : max(0, mask.shape[0] - top), max(0, -left) : max(0, mask.shape[1] - left)]
    rows, columns = part.shape
    mask[max(0, top) : max(0, top) + rows, max(0, left) : max(0, left) + columns][part] = code


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error) from error


def pairs(path: Path, numbers: Any) -> Points:
    """Return a flat list x, y, x, y, ... or a list of (x, y) as corners.

    Raises:
        DataError: These are no corners.
    """
    try:
        flat = np.asarray(numbers, float).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{path} has an outline that is no list of corners ({error}).", "Export the annotations again."
        ) from error
    if not np.isfinite(flat).all():
        raise DataError(f"{path} has an outline with corners that are no numbers.", "Export the annotations again.")
    return [(float(x), float(y)) for x, y in flat]
