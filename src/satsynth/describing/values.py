"""Which values masks hold, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.scenes.labels import pack_colors
from satsynth.scenes.rasters import TIFF, read_raw_mask
from satsynth.work.errors import DataError
from satsynth.work.progress import Progress

LOSSY = (".jpg", ".jpeg", ".webp")
# More distinct values than this are no labels.
MOST_LABELS = 64


@dataclass
class MaskValues:
    """What the masks that were looked at hold.

    Args:
        encoding: `index` or `color`.
        looked_at: Masks that were read.
        total: Masks that there are.
        pixels: Pixels of each id, or of each colour as 0xRRGGBB.
        files: Masks in which each value occurs.
        unreadable: What is wrong with files that could not be read.
        lossy: Whether the files are of a lossy format.
    """

    encoding: str
    looked_at: int
    total: int
    pixels: Counter[int] = field(default_factory=Counter)
    files: Counter[int] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)
    lossy: bool = False

    def share(self, value: int) -> float:
        """Share of all pixels that hold a value."""
        return self.pixels[value] / max(1, self.pixels.total())


def count_values(folder: Path, masks: Sequence[str], limit: int) -> MaskValues:
    """Count the values of masks.

    Args:
        folder: Where they are.
        masks: Their paths below it, sorted.
        limit: Read at most so many, evenly spaced; all of them if 0.

    Raises:
        DataError: None of them can be read.
    """
    chosen = list(masks)
    if 0 < limit < len(chosen):
        chosen = [masks[int(i)] for i in np.linspace(0, len(masks) - 1, limit).round()]
    encodings, problems = Counter[str](), []
    for mask in chosen:
        try:
            encodings[encoding_of(folder / mask)] += 1
        except DataError as error:
            problems.append(error.problem)
    if not encodings:
        raise DataError(f"None of {len(chosen)} masks can be read; the first: {problems[0]}", "Check these files.")
    # Palettes and grey files can be read as colours; colours cannot be read as ids.
    encoding = "color" if encodings["color"] else "index"
    found = MaskValues(encoding, 0, len(masks), lossy=any(Path(mask).suffix.lower() in LOSSY for mask in chosen))
    with Progress(len(chosen), "Looking at masks", "files") as progress:
        for mask in chosen:
            try:
                raw = read_raw_mask(folder / mask, encoding)
            except DataError as error:
                found.unreadable.append(error.problem)
            else:
                codes = pack_colors(raw) if encoding == "color" else raw
                values, counts = np.unique(codes, return_counts=True)
                for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                    found.pixels[int(value)] += count
                    found.files[int(value)] += 1
                found.looked_at += 1
            progress.update()
    if not found.looked_at:
        raise DataError(f"No mask can be read; the first: {found.unreadable[0]}", "Check these files.")
    return found


def encoding_of(path: Path) -> str:
    """Return whether a mask holds `index` or `color`, from its header alone.

    A palette file counts as colours: its indices need not mean the same in the next file.

    Raises:
        DataError: The file cannot be read.
    """
    if path.suffix.lower() in TIFF:
        return "color" if _tiff_bands(path) >= 3 else "index"
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return "index" if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;") else "color"
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise DataError(f"{path} is no image: {error}") from error


def has_few_values(path: Path) -> bool:
    """Return whether a file could be a mask, by the number of its distinct values."""
    try:
        encoding = encoding_of(path)
        raw: Any = read_raw_mask(path, encoding)
    except DataError:
        return False
    codes = pack_colors(raw) if encoding == "color" else raw
    return len(np.unique(codes)) <= MOST_LABELS


def _tiff_bands(path: Path) -> int:
    import rasterio
    from rasterio.errors import RasterioIOError

    try:
        with rasterio.open(path) as source:
            return int(source.count)
    except RasterioIOError as error:
        raise DataError(f"{path} is no image: {error}") from error
