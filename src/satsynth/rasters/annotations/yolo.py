"""YOLO: one text file for each image, a line for each polygon, in shares of the image's width and height."""

from __future__ import annotations

from pathlib import Path

from satsynth.rasters.annotations.outlines import Annotated, Outline
from satsynth.rasters.cache import unreadable
from satsynth.work.errors import DataError

_BOX = 5


def read_yolo(path: Path, height: int, width: int) -> Annotated:
    """Return the outlines of an image. A file without lines belongs to an image of background.

    Args:
        path: The text file.
        height: Rows of the image.
        width: Columns of the image.

    Raises:
        DataError: It holds boxes or no polygons, or corners that lie outside of the image.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error
    outlines = [
        _outline(path, number, line.split(), height, width) for number, line in enumerate(lines, 1) if line.strip()
    ]
    return Annotated(outlines)


def _outline(path: Path, number: int, words: list[str], height: int, width: int) -> Outline:
    try:
        label, shares = str(int(words[0])), [float(word) for word in words[1:]]
    except ValueError as error:
        raise DataError(
            f"{path} has a line {number} that is no polygon of YOLO ({error}).", "Export the annotations again."
        ) from error
    if len(words) == _BOX:
        raise DataError(
            f"{path} holds a box in line {number}, not an outline.", "Export polygons (YOLO segmentation) instead."
        )
    if len(shares) < 6 or len(shares) % 2:
        raise DataError(
            f"{path} has {len(shares)} numbers in line {number}, but a polygon has an even number of at least 6.",
            "Export the annotations again.",
        )
    # Rounding of exporters may lead slightly beyond the edge.
    if not all(-0.01 <= share <= 1.01 for share in shares):
        raise DataError(
            f"{path} has corners outside of the image in line {number}; they must be shares from 0 to 1.",
            "Export the annotations again, in shares of width and height.",
        )
    return Outline(label, [[(x * width, y * height) for x, y in zip(shares[::2], shares[1::2], strict=True)]])
