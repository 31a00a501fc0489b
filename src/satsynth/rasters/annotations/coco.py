"""COCO: one JSON file with the polygons, or run lengths, of many images."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from satsynth.rasters.annotations.outlines import Annotated, Outline, pairs, read_json
from satsynth.work.errors import DataError


def read_coco(path: Path, image: str) -> Annotated:
    """Return the outlines of an image.

    Args:
        path: The JSON file.
        image: Path of the image below the raw folder; its end must be the `file_name` of an entry.

    Raises:
        DataError: The file is not COCO, does not list the image, or holds annotations without outlines.
    """
    by_name = _content(str(path), path.stat().st_mtime_ns)
    parts = PurePosixPath(image).parts
    for count in range(len(parts), 0, -1):
        found = by_name.get("/".join(parts[-count:]))
        if found is not None:
            return found
    # File names may begin with a folder of the machine on which they were annotated.
    same = [name for name in by_name if PurePosixPath(name.replace("\\", "/")).name == parts[-1]]
    if len(same) == 1:
        return by_name[same[0]]
    raise DataError(
        f"{path} lists {'several images' if same else 'no image'} of the name {parts[-1]}.",
        f"Add {image} under `images` in that file (without annotations it is background), or remove the image.",
    )


def coco_names(path: Path) -> list[str]:
    """Return the file names of all images that a COCO file lists."""
    return list(_content(str(path), path.stat().st_mtime_ns))


def coco_labels(path: Path) -> list[str]:
    """Return the names of the categories of a COCO file."""
    content = read_json(path)
    return [str(one["name"]) for one in content["categories"]]


@lru_cache(maxsize=8)
def _content(name: str, _: int) -> dict[str, Annotated]:
    path = Path(name)
    content = read_json(path)
    try:
        labels = {one["id"]: str(one["name"]) for one in content["categories"]}
        outlines = defaultdict(list)
        for one in content["annotations"]:
            outlines[one["image_id"]].append(_outline(path, one, labels))
        return {
            str(one["file_name"]): Annotated(outlines[one["id"]], one.get("height"), one.get("width"))
            for one in content["images"]
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is no COCO file of outlines: {type(error).__name__} {error}.", "Export the annotations again."
        ) from error


def _outline(path: Path, annotation: dict[str, Any], labels: dict[Any, str]) -> Outline:
    label, shape = labels[annotation["category_id"]], annotation.get("segmentation")
    if isinstance(shape, dict):
        height, width = shape["size"]
        return Outline(label, cells=run_lengths(path, shape["counts"], int(height), int(width)))
    if not shape:
        raise DataError(
            f"{path} has a box without an outline (annotation {annotation.get('id')}, {label}).",
            "Export outlines (segmentation) from the annotation tool, or remove the annotation.",
        )
    return Outline(label, [pairs(path, ring) for ring in shape])


def run_lengths(path: Path, counts: str | list[int], height: int, width: int) -> np.ndarray:
    """Decode a mask of run lengths, column by column, beginning with a run of zeros.

    Args:
        path: The file, for the message.
        counts: Run lengths, or COCO's compressed text: groups of 5 bits from the lowest, where each character holds
            one group plus 48, its sixth bit says that more follow, and from the fourth run on, numbers are differences
            to the run before the last.
        height: Rows.
        width: Columns.

    Returns:
        ``(height, width)`` bool.

    Raises:
        DataError: The runs do not fill the mask.
    """
    runs = _decompressed(counts) if isinstance(counts, str) else [int(count) for count in counts]
    if sum(runs) != height * width or min(runs, default=0) < 0:
        raise DataError(
            f"{path} has a mask of {width} x {height} pixels, but run lengths of {sum(runs)}.",
            "Export the annotations again.",
        )
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return values.reshape(width, height).T


def _decompressed(text: str) -> list[int]:
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return runs
