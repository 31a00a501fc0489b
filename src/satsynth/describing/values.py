"""Count the values of masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from satsynth.datasets.labels import pack_colors
from satsynth.rasters.arrays import array_shape, is_array
from satsynth.rasters.cache import unreadable
from satsynth.rasters.handles import Window, reading
from satsynth.rasters.opening import by_window
from satsynth.rasters.pictures import open_picture
from satsynth.rasters.reading import ABSENT, RawMask, raster_info, read_raw_mask
from satsynth.work.errors import DataError
from satsynth.work.progress import Progress

LOSSY = (".jpg", ".jpeg")
# Files with more distinct values hold no labels.
MOST_LABELS = 64
# At most this many pixels of a large TIFF are read, in bands of rows.
MOST_PIXELS = 1 << 26
BANDS = 16


@dataclass
class MaskValues:
    """Values of the masks that were read.

    Args:
        encoding: `index` or `color`.
        read: Number of masks that were read.
        total: Number of masks in the folder.
        pixels: Number of pixels of each id, or of each colour as 0xRRGGBB.
        files: Number of masks in which each value occurs.
        unreadable: Problems of files that could not be read.
        lossy: Whether the files have a lossy format.
        in_part: Whether only some rows of very large masks were read.
        beneath: Number of transparent pixels of each value; `pixels` counts the others.
        nodata: Values that masks themselves mark as nodata.
        only_ends: Number of masks that hold 255 and nothing else, or nothing but 0 and 255.
        transparent: `keep` if transparent pixels are counted in `pixels` too, as one of two classes.
    """

    encoding: str
    read: int
    total: int
    pixels: Counter[int] = field(default_factory=Counter)
    files: Counter[int] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)
    lossy: bool = False
    in_part: bool = False
    beneath: Counter[int] = field(default_factory=Counter)
    nodata: set[int] = field(default_factory=set)
    only_ends: int = 0
    transparent: str = "ignore"

    def share(self, value: int) -> float:
        """Return the share of all pixels that hold a value."""
        return self.pixels[value] / max(1, self.pixels.total())


def count_values(folder: Path, masks: Sequence[str], limit: int) -> MaskValues:
    """Count the values of masks.

    Args:
        folder: Folder of the masks.
        masks: Their paths below it, sorted.
        limit: Number of evenly spaced masks to read at most, or 0 for all of them.

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
        raise DataError(f"None of {len(chosen)} masks can be read. The first: {problems[0]}", "Check these files.")
    # Palette and grey files can be read as colours, but colours cannot be read as ids.
    encoding = "color" if encodings["color"] else "index"
    found = MaskValues(encoding, 0, len(masks), lossy=any(Path(mask).suffix.lower() in LOSSY for mask in chosen))
    with Progress(len(chosen), "Reading masks", "files") as progress:
        for mask in chosen:
            try:
                counted = _counted(folder / mask, encoding)
            except DataError as error:
                found.unreadable.append(error.problem)
            else:
                found.pixels.update(counted.pixels)
                found.files.update(counted.pixels.keys())
                found.beneath.update(counted.beneath)
                found.nodata |= counted.nodata
                found.only_ends += counted.pixels.keys() <= {0, 255} and 255 in counted.pixels
                found.read += 1
                found.in_part |= _is_giant(folder / mask)
            progress.update()
    if len(found.pixels) < 2 and len(found.pixels + found.beneath) >= 2:
        # What is transparent is then a class.
        found.pixels += found.beneath
        found.transparent = "keep"
    if not found.read:
        raise DataError(f"No mask can be read. The first: {found.unreadable[0]}", "Check these files.")
    return found


def encoding_of(path: Path) -> str:
    """Return the encoding of a mask, `index` or `color`, according to its header.

    A palette file counts as `color`, because its indices may mean something else in the next file.

    Raises:
        DataError: The file cannot be read.
    """
    if is_array(path):
        return "color" if array_shape(path)[0][2] == 3 else "index"
    if by_window(path):
        with reading(path) as source:
            return "color" if source.count >= 3 or source.colorinterp[0].name == "palette" else "index"
    with open_picture(path) as image:
        return "index" if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;") else "color"


def has_few_values(path: Path) -> bool:
    """Return whether a file has few enough distinct values to be a mask."""
    try:
        counted = _counted(path, encoding_of(path))
        return len(counted.pixels + counted.beneath) <= MOST_LABELS
    except DataError:
        return False


def _is_giant(path: Path) -> bool:
    size = raster_info(path)
    return (by_window(path) or path.suffix.lower() == ".npy") and size.height * size.width > MOST_PIXELS


@dataclass
class _Counted:
    """Values of one mask: pixels of each, transparent pixels of each, and values that are nodata."""

    pixels: Counter[int] = field(default_factory=Counter)
    beneath: Counter[int] = field(default_factory=Counter)
    nodata: set[int] = field(default_factory=set)


def _counted(path: Path, encoding: str) -> _Counted:
    """Count the values of one mask; of a giant one only in some evenly spaced bands of rows."""
    size = raster_info(path)
    windows: list[Window | None] = [None]
    if _is_giant(path):
        rows = max(1, MOST_PIXELS // size.width // BANDS)
        tops = np.linspace(0, size.height - rows, BANDS).astype(int)
        windows = [(0, int(top), size.width, rows) for top in tops]
    counted = _Counted()
    for window in windows:
        raw = _read(path, encoding, window)
        codes = pack_colors(raw.values) if encoding == "color" else raw.values
        hidden = np.zeros(codes.shape, bool) if raw.clear is None else raw.clear
        counted.pixels.update(_tally(codes[~hidden]))
        counted.beneath.update(_tally(codes[hidden]))
        if raw.absent is not None:
            counted.nodata.update(map(int, np.unique(codes[raw.absent])))
    # NaN has no value that a description could name.
    for part in (counted.pixels, counted.beneath):
        part.pop(ABSENT, None)
    counted.nodata.discard(ABSENT)
    return counted


def _tally(codes: np.ndarray) -> dict[int, int]:
    values, counts = np.unique(codes, return_counts=True)
    return {int(value): int(count) for value, count in zip(values, counts, strict=True)}


def _read(path: Path, encoding: str, window: Window | None) -> RawMask:
    """Read ids or colours, also from masks with lossy compression, which ingestion refuses."""
    if path.suffix.lower() in LOSSY:
        with open_picture(path) as image:
            try:
                return RawMask(np.asarray(image.convert("RGB" if encoding == "color" else "L")))
            except (OSError, SyntaxError, ValueError) as error:
                raise unreadable(path, error) from error
    return read_raw_mask(path, encoding, window)
