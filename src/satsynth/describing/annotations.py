"""Recognise the files of annotation tools, and propose classes from their labels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from satsynth.describing.proposed import ProposedClass, ProposedClasses, display_color
from satsynth.describing.values import MOST_LABELS
from satsynth.describing.vectors import OUTSIDE
from satsynth.rasters.annotations.coco import coco_labels, coco_names
from satsynth.rasters.annotations.labelme import read_labelme
from satsynth.rasters.annotations.yolo import read_yolo
from satsynth.work.errors import DataError

_LARGEST = 1 << 30
FORMATS = {"coco": "COCO", "labelme": "LabelMe", "yolo": "YOLO"}


@lru_cache(maxsize=1 << 16)
def annotation_kind(path: Path) -> str | None:
    """Return `coco`, `labelme` or `yolo` if a file looks like annotations of that kind, `geojson`, or None."""
    suffix = path.suffix.lower()
    try:
        if suffix not in (".json", ".txt") or path.stat().st_size > _LARGEST:
            return None
        text = path.read_text(encoding="utf-8-sig")
        if suffix == ".txt":
            return "yolo" if _is_yolo(text) else None
        content = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    if content.get("type") in ("FeatureCollection", "Feature"):
        return "geojson"
    if {"images", "annotations", "categories"} <= content.keys():
        return "coco"
    return "labelme" if "shapes" in content and ("imagePath" in content or "imageData" in content) else None


def _is_yolo(text: str) -> bool:
    """Return whether all lines are a class number and an even number of shares, and there is a line."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    try:
        return bool(lines) and all(
            words[0].isdecimal() and len(words) >= 5 and all(-0.01 <= float(word) <= 1.01 for word in words[1:])
            for words in lines
        )
    except ValueError:
        return False


def coco_pairs(folder: Path, images: Sequence[str], files: Sequence[str]) -> list[tuple[str, str]]:
    """Return images with the COCO file that lists them."""
    pairs: dict[str, str] = {}
    for file in files:
        names = {name.replace("\\", "/") for name in coco_names(folder / file)}
        bases = Counter(name.rsplit("/", 1)[-1] for name in names)
        here = file.rpartition("/")[0]
        found = {
            image
            for image in images
            if any(image == name or image.endswith(f"/{name}") for name in names)
            or bases[image.rsplit("/", 1)[-1]] == 1
        }
        # Splits may use the same names again, each beside its own file.
        beside = {image for image in found if here and image.startswith(f"{here}/")}
        for image in beside or found:
            pairs.setdefault(image, file)
    return sorted(pairs.items())


def propose_annotated_labels(
    folder: Path, files: Sequence[str], kind: str, limit: int
) -> tuple[dict[str, Any], ProposedClasses, list[str]]:
    """Propose the field `masks` and classes from annotations.

    Args:
        folder: Folder of the files.
        files: Their paths below it.
        kind: `coco`, `labelme` or `yolo`.
        limit: Number of files to read at most, or 0 for all of them.

    Returns:
        The field `masks`, the classes, and notes on what is uncertain.

    Raises:
        DataError: A file cannot be read, or there are too many labels.
    """
    step = max(1, len(files) // limit) if limit else 1
    seen = Counter[str]()
    for file in files[::step]:
        seen.update(_labels(folder / file, kind))
    names = _yolo_names(folder) if kind == "yolo" else {}
    if len(seen) > MOST_LABELS:
        raise DataError(
            f"The annotations have {len(seen)} different labels, but at most {MOST_LABELS} are classes.",
            "Write the description by hand, with the labels that you need and the others under `ignore`.",
        )
    classes = [ProposedClass(OUTSIDE, "-", "#000000", "not covered by an outline")]
    classes += [
        ProposedClass(names.get(label, f"class_{label}" if kind == "yolo" else label), label, display_color(place), "")
        for place, label in enumerate(sorted(seen))
        if label != OUTSIDE
    ]
    notes = [
        f"Labels are outlines of {FORMATS[kind]}. Pixels that no outline covers get the class {OUTSIDE}. Without "
        "`outside` they are ignored, which is better if the outlines do not label everything."
    ]
    if kind == "yolo" and not names:
        notes.append("No data.yaml or classes.txt names the classes. Rename them.")
    raws = {one.raw for one in classes}
    ignored: list[int | str] = [] if OUTSIDE not in seen or OUTSIDE in raws else [OUTSIDE]
    return {"encoding": "attribute", "reader": kind, "outside": OUTSIDE}, ProposedClasses(classes, ignored), notes


def _labels(path: Path, kind: str) -> list[str]:
    if kind == "coco":
        return coco_labels(path)
    found = read_labelme(path) if kind == "labelme" else read_yolo(path, 1, 1)
    return [outline.label for outline in found.outlines]


def _yolo_names(folder: Path) -> dict[str, str]:
    """Return the names of YOLO's class numbers from `data.yaml` or `classes.txt` at the top of a folder."""
    for file in ("data.yaml", "dataset.yaml"):
        try:
            content = yaml.safe_load((folder / file).read_text(encoding="utf-8"))
            names = content["names"]
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
            continue
        items = names.items() if isinstance(names, dict) else enumerate(names)
        return {str(number): str(name) for number, name in items}
    try:
        lines = (folder / "classes.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    return {str(number): line.strip() for number, line in enumerate(lines) if line.strip()}
