"""Pairs of other tools as files: folders of images and masks, and Parquet files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from satsynth.datasets.description import parse_color
from satsynth.datasets.labels import pack_colors
from satsynth.datasets.painting import LEGEND
from satsynth.pairs.pair import decode_image, decode_mask
from satsynth.rasters.by_name import rasters_by_name
from satsynth.rasters.pictures import decode_image as read_picture
from satsynth.rasters.pictures import decode_mask as read_mask_picture
from satsynth.work.errors import DataError, listing
from satsynth.work.ignore import IGNORE_INDEX
from satsynth.work.progress import Progress

LAYOUT = "Lay them out as images/NAME.png and masks/NAME.png, or as Parquet files with the columns image and mask."
Classes = Sequence[Mapping[str, Any]]


class FoundPairs(Protocol):
    """Pairs that were found and are not yet read."""

    def __len__(self) -> int:
        """Return the number of pairs."""
        ...

    def files(self) -> dict[str, Path]:
        """Return all files by their name below the folder."""
        ...

    def read(self, side: int, classes: Classes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield images ``(side, side, 3)`` and masks ``(side, side)`` of class indices, both uint8, in order of names.

        Args:
            side: Side of a pair in pixels.
            classes: ``name`` and ``color`` of each class, in order of the index.

        Raises:
            DataError: A file cannot be read, or has another size, or a value that is no class.
        """
        ...


def find_pairs(path: str, encoding: str) -> FoundPairs:
    """Find the pairs of a folder or Parquet file.

    Args:
        path: The folder or file.
        encoding: ``index`` or ``color``: how masks without a legend are read.

    Raises:
        DataError: There are none, or images lack masks.
    """
    if not path:
        raise DataError(
            "The family 'folder' needs `folder.path`, which is not set.",
            "Give it: --params=generation.family=folder,folder.path=<folder>",
        )
    place = Path(path).expanduser()
    tables = [place] if place.suffix == ".parquet" else sorted(place.glob("*.parquet"))
    if tables and all(table.is_file() for table in tables):
        return ParquetPairs(tables)
    images, masks = (rasters_by_name(place / name) for name in ("images", "masks"))
    if not images:
        raise DataError(f"`folder.path` {path} ({place.resolve()}) holds no pairs.", LAYOUT)
    alone = sorted(images.keys() ^ masks.keys())
    if alone:
        raise DataError(
            f"{len(alone)} of the images and masks in {place} have no partner of the same name:\n{listing(alone, 5)}",
            "Add or remove files, so that each image has its mask.",
        )
    return FilePairs(place, images, masks, encoding)


class FilePairs:
    """Images and masks as files of equal names.

    Args:
        folder: Their folder, perhaps with a legend.
        images: Image files by name.
        masks: Mask files by the same names.
        encoding: How masks are read where there is no legend.
    """

    def __init__(self, folder: Path, images: Mapping[str, Path], masks: Mapping[str, Path], encoding: str) -> None:
        """Hold the names."""
        self._images, self._masks, self._encoding = images, masks, encoding
        legend = folder / LEGEND
        self._legend = legend if legend.is_file() else None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self._images)

    def files(self) -> dict[str, Path]:
        """Return all files by their name below the folder."""
        found = {f"images/{name}": path for name, path in self._images.items()}
        found |= {f"masks/{name}": path for name, path in self._masks.items()}
        return found | ({LEGEND: self._legend} if self._legend else {})

    def read(self, side: int, classes: Classes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the pairs; see `FoundPairs.read`."""
        values = _legend_values(self._legend, classes) if self._legend else _plain_values(self._encoding, classes)
        with Progress(len(self), "Reading", "pairs") as progress:
            for name, path in self._images.items():
                mask = self._masks[name]
                image = _sized(read_picture(path), path, side)
                raw = _sized(read_mask_picture(mask, values.encoding), mask, side)
                yield image, values.indices(raw, mask)
                progress.update()


class ParquetPairs:
    """Rows with an image and a mask of class indices, as PNG bytes or as Hugging Face `datasets` writes them.

    Args:
        tables: The files.
    """

    def __init__(self, tables: Sequence[Path]) -> None:
        """Check that the columns are there.

        Raises:
            DataError: A file lacks them, or is no Parquet file.
        """
        self._tables = list(tables)
        for path in self._tables:
            try:
                names = pq.read_schema(path).names
            except (pa.ArrowInvalid, OSError) as error:
                raise DataError(f"{path} is no Parquet file: {error}", LAYOUT) from error
            if not {"image", "mask"} <= set(names):
                raise DataError(f"{path} has the columns {', '.join(names)}.", LAYOUT)

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(pq.read_metadata(path).num_rows for path in self._tables)

    def files(self) -> dict[str, Path]:
        """Return all files by name."""
        return {path.name: path for path in self._tables}

    def read(self, side: int, classes: Classes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the pairs; see `FoundPairs.read`."""
        values = _plain_values("index", classes)
        with Progress(len(self), "Reading", "pairs") as progress:
            for path in self._tables:
                for batch in pq.ParquetFile(path).iter_batches(64, columns=["image", "mask"]):
                    for row in batch.to_pylist():
                        image, mask = (cell["bytes"] if isinstance(cell, dict) else cell for cell in row.values())
                        if not image or not mask:
                            raise DataError(f"{path} has a row without the bytes of its image or mask.", LAYOUT)
                        raw = _sized(decode_mask(mask), path, side)
                        yield _sized(decode_image(image), path, side), values.indices(raw, path)
                        progress.update()


def _sized(array: np.ndarray, path: Path, side: int) -> np.ndarray:
    if array.shape[:2] != (side, side):
        raise DataError(
            f"{path} is {array.shape[1]} x {array.shape[0]} pixels; tiles are {side} x {side}.",
            "Resize or cut all images and masks to the size of the tiles, or change `tiling.tile_size`.",
        )
    return array


@dataclass(frozen=True)
class MaskValues:
    """What the values of masks mean.

    Args:
        encoding: ``index`` (numbers) or ``color``.
        known: Class index by value; colours as ``0xRRGGBB``.
    """

    encoding: str
    known: Mapping[int, int]

    def indices(self, raw: np.ndarray, path: Path) -> np.ndarray:
        """Return class indices ``(H, W)`` uint8 of raw numbers ``(H, W)`` or colours ``(H, W, 3)``.

        Raises:
            DataError: A value is no class.
        """
        if (raw.ndim == 3) != (self.encoding == "color"):
            found, wanted = ("colours", "numbers") if raw.ndim == 3 else ("numbers", "colours")
            raise DataError(
                f"The mask {path} holds {found}, where {wanted} are expected.",
                f"Say how masks are written by `folder.encoding`, or put the {LEGEND} of an export beside them.",
            )
        codes = pack_colors(raw) if raw.ndim == 3 else raw
        values, places = np.unique(codes, return_inverse=True)
        unknown = [self._shown(int(value)) for value in values if int(value) not in self.known]
        if unknown:
            raise DataError(
                f"The mask {path} holds {', '.join(unknown[:5])}, which no class has; known are "
                f"{', '.join(self._shown(value) for value in sorted(self.known))}.",
                f"Correct the masks, or describe their values in {LEGEND} beside images/ and masks/.",
            )
        table = np.array([self.known[int(value)] for value in values], np.uint8)
        return table[places.reshape(codes.shape)]

    def _shown(self, value: int) -> str:
        return f"#{value:06X}" if self.encoding == "color" else str(value)


def _plain_values(encoding: str, classes: Classes) -> MaskValues:
    if encoding == "index":
        return MaskValues("index", {**{k: k for k in range(len(classes))}, IGNORE_INDEX: IGNORE_INDEX})
    return MaskValues("color", {_code(tuple(c["color"])): k for k, c in enumerate(classes)})


def _legend_values(path: Path, classes: Classes) -> MaskValues:
    """Return the values that a legend explains, its classes found by their names."""
    place = {str(c["name"]): k for k, c in enumerate(classes)}
    try:
        # A file of others: what it lacks is not damage of ours.
        legend = json.loads(path.read_text(encoding="utf-8"))
        raws = [(entry["raw"], place[entry["name"]]) for entry in legend["classes"]]
        raws += [(value, IGNORE_INDEX) for value in legend.get("ignore", [])]
        known = {_code(parse_color(raw)): index for raw, index in raws}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} does not explain the masks of the classes {', '.join(place)}: {type(error).__name__} {error}.",
            "Take the file that `kedro run --pipeline=export` writes for this data set.",
        ) from error
    return MaskValues("color" if isinstance(raws[0][0], str) else "index", known)


def _code(raw: Any) -> int:
    return int(raw) if isinstance(raw, int) else int(pack_colors(np.array(raw, np.uint8)[None, None])[0, 0])
