"""A scene (an image, its mask and the window of both that it covers), its reader, and the table of scenes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from satsynth.datasets.description import DatasetDescription
from satsynth.datasets.labels import UNKNOWN, LabelMap, Unknown
from satsynth.rasters.annotations.reader import Annotations
from satsynth.rasters.cache import RasterCache
from satsynth.rasters.handles import Window
from satsynth.rasters.land_sea_lake import read_land_sea_lake
from satsynth.rasters.reading import (
    RasterInfo,
    RawMask,
    raster_info,
    read_image,
    read_raw_mask,
    read_valid,
    reduce_image,
    reduce_mask,
)
from satsynth.rasters.vectors import Polygons
from satsynth.scenes.found import AssignedScene
from satsynth.work.errors import DataError
from satsynth.work.ignore import IGNORE_INDEX

COLUMNS = ["scene_id", "group", "split", "image", "mask", "window", "height", "width", "crs", "transform", "digest"]
SHOWS = "shows"


@dataclass(frozen=True)
class Scene(AssignedScene):
    """A scene whose files have been opened: one row of the table of scenes.

    Args:
        window: (x, y, width, height) in the image's pixels.
        height: Rows of the scene after scaling.
        width: Columns of the scene after scaling.
        crs: Coordinate reference system of the image, or None.
        transform: Six coefficients of the affine transform of the image's grid, or None.
        digest: SHA-256 of image, mask and window.
        shows: Of an unlabelled image, the scene of val or test that it shows, or None.
    """

    window: Window
    height: int
    width: int
    crs: str | None
    transform: tuple[float, ...] | None
    digest: str
    shows: str | None = None


class SceneReader:
    """Reads windows of scenes as image and class indices.

    Args:
        description: The data set.
        raw: Its raw folder.
        workers: Threads that read at the same time. Image and mask of one scene more than that are kept decoded.
    """

    def __init__(self, description: DatasetDescription, raw: Path, workers: int = 1) -> None:
        """Build the label map once for all scenes."""
        self.description = description
        self.raw = raw
        self._workers = workers
        self.labels = LabelMap(description)
        self.decoded = RasterCache(2 * (workers + 1))
        self._polygons = Polygons(description) if description.masks.reader == "vector" else None
        self._annotations = Annotations(description) if description.masks.annotated else None

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process without what this one has decoded."""
        return type(self), (self.description, self.raw, self._workers)

    def raw_mask(self, mask: str, info: RasterInfo, window: Window | None = None, image: str = "") -> RawMask:
        """Read a raw mask on its image's grid.

        Args:
            mask: Path below the raw folder.
            info: Size and georeference of the image.
            window: (x, y, width, height) in the image's pixels.
            image: Path of the image below the raw folder, by which annotations of many images know it.

        Returns:
            Raw ids ``(h, w)`` or colours ``(h, w, 3)``; for polygons, class indices with 255 = ignore.
        """
        path, masks = self.raw / mask, self.description.masks
        if self._polygons is not None:
            return RawMask(self._polygons.read(path, info, window))
        if self._annotations is not None:
            return RawMask(self._annotations.read(path, image, info, window))
        if masks.reader == "land_sea_lake":
            kind = f"{info.height}x{info.width}"
            whole = self.decoded.get(path, kind, lambda: read_land_sea_lake(path, info.height, info.width))
            x, y, width, height = window or (0, 0, info.width, info.height)
            return RawMask(whole[y : y + height, x : x + width])
        if masks.align == "nearest":
            return self._nearest(path, info, window)
        return read_raw_mask(path, masks.encoding, window, self.decoded, masks.nearest is not None)

    def indices(self, raw: RawMask) -> np.ndarray:
        """Convert a raw mask to class indices, ``(h, w)`` uint8: 255 = ignore, 254 = unknown.

        What the description says about a value wins over a file that calls the same value nodata.
        """
        mask = self.labels.indices(raw.values)
        if raw.absent is not None:
            mask[raw.absent & (mask == UNKNOWN)] = IGNORE_INDEX
        if raw.clear is not None and self.description.masks.transparent == "ignore":
            mask[raw.clear] = IGNORE_INDEX
        return mask

    def unknown(self, raw: RawMask, top: int) -> dict[int, Unknown]:
        """Count the raw values that are neither in the description nor absent, as ``LabelMap.unknown_codes``."""
        hidden = raw.clear if self.description.masks.transparent == "ignore" else None
        parts = [part for part in (hidden, raw.absent) if part is not None]
        return self.labels.unknown_codes(raw.values, top, np.logical_or.reduce(parts) if parts else None)

    def _nearest(self, path: Path, info: RasterInfo, window: Window | None) -> RawMask:
        """Read a raw mask on another grid over the same area, at the centre of each pixel of the image."""
        size = raster_info(path)
        x, y, width, height = window or (0, 0, info.width, info.height)
        rows = ((np.arange(y, y + height) + 0.5) * size.height / info.height).astype(int)
        columns = ((np.arange(x, x + width) + 0.5) * size.width / info.width).astype(int)
        left, top = int(columns[0]), int(rows[0])
        part = (left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)
        masks = self.description.masks
        raw = read_raw_mask(path, masks.encoding, part, self.decoded, masks.nearest is not None)
        return raw.at(np.ix_(rows - top, columns - left))

    def image(self, image: str, window: Window | None = None) -> np.ndarray:
        """Read an image, given by its path below the raw folder, or a window of it, as ``(h, w, 3)`` uint8 RGB."""
        return read_image(self.raw / image, window, self.description.images, self.decoded)

    def valid(self, image: str, window: Window | None = None) -> np.ndarray | None:
        """Return which pixels of an image are valid, ``(h, w)`` bool, or None if all are."""
        return read_valid(self.raw / image, window, self.description.images, self.decoded)

    def read(self, scene: Scene, top: int, left: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Read a window of a scene, given in the scene's scaled pixels.

        Args:
            scene: The scene.
            top: First row.
            left: First column.
            height: Rows.
            width: Columns.

        Returns:
            Image ``(height, width, 3)`` uint8 RGB and mask ``(height, width)`` uint8 of class indices, 255 = ignore.
        """
        part = ScenePart(self, scene, top, left, height, width)
        return part.image(top, left, height, width), part.mask(top, left, height, width)


class ScenePart:
    """A part of a scene whose raw pixels are read once for all windows in it. The image is read on first use.

    All positions and sizes are in the scene's scaled pixels.

    Args:
        reader: Reader of the data set.
        scene: The scene.
        top: First row.
        left: First column.
        height: Rows.
        width: Columns.

    Of an unlabelled scene, all pixels are ignored.

    Raises:
        DataError: The mask holds unknown values, or a file cannot be read.
    """

    def __init__(self, reader: SceneReader, scene: Scene, top: int, left: int, height: int, width: int) -> None:
        """Read the mask, and which pixels are valid."""
        self._reader, self._scene = reader, scene
        self._source = _source_window(scene, top, left, height, width)
        self._mask = self._read_mask()
        self._valid = reader.valid(scene.image, self._source)
        if self._valid is not None:
            self._mask[~self._valid] = IGNORE_INDEX

    def _read_mask(self) -> np.ndarray:
        reader, scene = self._reader, self._scene
        if not scene.mask:
            return np.full((self._source[3], self._source[2]), IGNORE_INDEX, np.uint8)
        raw = reader.raw_mask(scene.mask, raster_info(reader.raw / scene.image), self._source, scene.image)
        mask = reader.indices(raw)
        if (mask == UNKNOWN).any():
            raise DataError(
                f"{reader.raw / scene.mask} holds values that are not in the description: "
                "the file or the description has changed since it was checked.",
                "Check it again: kedro run --pipeline=ingestion",
            )
        return mask

    @cached_property
    def _image(self) -> np.ndarray:
        return self._reader.image(self._scene.image, self._source)

    def mask(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Return a window of the mask, ``(height, width)`` uint8 of class indices, 255 = ignore."""
        return reduce_mask(self._cut(self._mask, top, left, height, width), height, width)

    def invalid(self, top: int, left: int, height: int, width: int) -> float:
        """Return the share of a window's pixels that show nothing: transparent ones, nodata and NaN."""
        return 0.0 if self._valid is None else float(1 - self._cut(self._valid, top, left, height, width).mean())

    def image(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Return a window of the image, ``(height, width, 3)`` uint8 RGB."""
        return reduce_image(self._cut(self._image, top, left, height, width), height, width)

    def _cut(self, pixels: np.ndarray, top: int, left: int, height: int, width: int) -> np.ndarray:
        x, y, w, h = _source_window(self._scene, top, left, height, width)
        x, y = x - self._source[0], y - self._source[1]
        return pixels[y : y + h, x : x + w]


def _source_window(scene: Scene, top: int, left: int, height: int, width: int) -> Window:
    """Convert a window of a scene from scaled pixels to pixels of its image."""
    x, y, whole_width, whole_height = scene.window
    fx, fy = whole_width / scene.width, whole_height / scene.height
    x0, y0 = round(left * fx), round(top * fy)
    x1, y1 = min(round((left + width) * fx), whole_width), min(round((top + height) * fy), whole_height)
    return x + x0, y + y0, x1 - x0, y1 - y0


def scenes_to_frame(scenes: list[Scene]) -> pd.DataFrame:
    """Return the table of scenes, one row per scene, sorted by identifier."""
    # Only tables that need this column have it, so that all others, and what was made of them, stay valid.
    columns = [*COLUMNS, *([SHOWS] if any(scene.shows for scene in scenes) else [])]
    rows = [
        {column: getattr(scene, column) for column in columns} for scene in sorted(scenes, key=lambda s: s.scene_id)
    ]
    frame = pd.DataFrame(rows, columns=columns)
    for column in ("window", "transform"):
        frame[column] = pd.Series([None if value is None else list(value) for value in frame[column]], dtype=object)
    return frame


def scenes_from_frame(frame: pd.DataFrame) -> Iterator[Scene]:
    """Yield the scenes of a table."""
    for row in frame.to_dict("records"):
        window = tuple(int(v) for v in row["window"])
        transform = None if row["transform"] is None else tuple(float(v) for v in row["transform"])
        values = {str(key): value for key, value in row.items()}
        # pandas stores a missing value in a text column as NaN.
        for name in ("crs", SHOWS):
            values[name] = values[name] if isinstance(values.get(name), str) else None
        yield Scene(**{**values, "window": window, "transform": transform})
