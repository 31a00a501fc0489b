"""LabelMe: one JSON file for each image."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from satsynth.rasters.annotations.outlines import Annotated, Outline, pairs, read_json
from satsynth.rasters.cache import check_size
from satsynth.work.errors import DataError

# Corners of the polygon that stands for a circle.
_CORNERS = 256


def read_labelme(path: Path) -> Annotated:
    """Return the outlines of an image.

    Raises:
        DataError: The file is not LabelMe's, or holds points or lines.
    """
    content = read_json(path)
    try:
        outlines = [_outline(path, shape) for shape in content["shapes"]]
        return Annotated(outlines, content.get("imageHeight"), content.get("imageWidth"))
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is no LabelMe file: {type(error).__name__} {error}.", "Export the annotations again."
        ) from error


def _outline(path: Path, shape: dict[str, Any]) -> Outline:
    label, kind = str(shape["label"]), shape.get("shape_type") or "polygon"
    points = pairs(path, shape["points"])
    if kind == "rectangle" and len(points) == 2:
        (x0, y0), (x1, y1) = points
        points = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    elif kind == "circle" and len(points) == 2:
        (x, y), edge = points
        radius = math.dist(points[0], edge)
        turns = np.linspace(0, 2 * math.pi, _CORNERS, endpoint=False)
        points = [(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns]
    elif kind == "mask" and len(points) == 2:
        left, top = (round(number) for number in points[0])
        return Outline(label, cells=_cells(path, shape["mask"]), place=(left, top))
    elif kind not in ("polygon", "rectangle"):
        raise DataError(
            f"{path} holds a shape of the kind '{kind}' ({label}) where outlines are expected.",
            "Remove it in LabelMe, or draw a polygon instead.",
        )
    return Outline(label, [points])


def _cells(path: Path, text: str) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(base64.b64decode(text)), formats=("PNG",)) as image:
            check_size(path, image.height, image.width, image.height * image.width)
            return np.asarray(image.convert("L")) > 0
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} holds a mask that cannot be read ({error}).", "Save it in LabelMe again.") from error
