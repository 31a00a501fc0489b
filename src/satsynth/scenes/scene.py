"""A scene: an image, its mask, the window of both that it covers, and how to read it as class indices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from satsynth.scenes.description import DatasetDescription
from satsynth.scenes.labels import UNKNOWN, LabelMap
from satsynth.scenes.rasters import (
    RasterInfo,
    Window,
    raster_info,
    read_image,
    read_land_sea_lake,
    read_raw_mask,
    reduce_image,
    reduce_mask,
)
from satsynth.work.errors import DataError

COLUMNS = ["scene_id", "group", "split", "image", "mask", "window", "height", "width", "crs", "transform", "digest"]


@dataclass(frozen=True)
class Scene:
    """One row of the table of scenes.

    Args:
        scene_id: Unique name.
        group: Name of the group of neighbouring scenes.
        split: ``train``, ``val`` or ``test``.
        image: Path of the image below the raw folder.
        mask: Path of the mask below the raw folder.
        window: (x, y, width, height) in the image's pixels.
        height: Rows of the scene after scaling.
        width: Columns of the scene after scaling.
        crs: Coordinate reference system, if the source has one.
        transform: Six coefficients of the affine transform of the image's grid, if it has one.
        digest: SHA-256 of image, mask and window.
    """

    scene_id: str
    group: str
    split: str
    image: str
    mask: str
    window: Window
    height: int
    width: int
    crs: str | None
    transform: tuple[float, ...] | None
    digest: str


class SceneReader:
    """Reads windows of scenes as image and class indices.

    Args:
        description: The data set.
        raw: Its raw folder.
    """

    def __init__(self, description: DatasetDescription, raw: Path) -> None:
        """Build the label map once for all scenes."""
        self.description = description
        self.raw = raw
        self.labels = LabelMap(description)

    def raw_mask(self, mask: str, info: RasterInfo, window: Window | None = None) -> np.ndarray:
        """Read a raw mask on its image's grid.

        Args:
            mask: Path below the raw folder.
            info: Size of the image.
            window: (x, y, width, height) in the image's pixels.

        Returns:
            Raw ids ``(h, w)`` or colours ``(h, w, 3)``.
        """
        path, masks = self.raw / mask, self.description.masks
        if masks.reader == "land_sea_lake":
            whole = read_land_sea_lake(path, info.height, info.width)
        elif masks.align == "nearest":
            whole = reduce_mask(read_raw_mask(path, masks.encoding), info.height, info.width)
        else:
            return read_raw_mask(path, masks.encoding, window)
        if window is None:
            return whole
        x, y, width, height = window
        return whole[y : y + height, x : x + width]

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
        x, y, whole_width, whole_height = scene.window
        fx, fy = whole_width / scene.width, whole_height / scene.height
        x0, y0 = round(left * fx), round(top * fy)
        x1, y1 = min(round((left + width) * fx), whole_width), min(round((top + height) * fy), whole_height)
        source = (x + x0, y + y0, x1 - x0, y1 - y0)
        image = read_image(self.raw / scene.image, source)
        info = raster_info(self.raw / scene.image)
        mask = self.labels.indices(self.raw_mask(scene.mask, info, source))
        if (mask == UNKNOWN).any():
            raise DataError(
                f"{self.raw / scene.mask} holds values that the description does not know, "
                "though it was checked: the file or the description has changed since.",
                "Check it again: kedro run --pipeline=ingestion",
            )
        return reduce_image(image, height, width), reduce_mask(mask, height, width)


def scenes_to_frame(scenes: list[Scene]) -> pd.DataFrame:
    """Return the table of scenes, a row a scene, sorted by identifier."""
    rows = [
        {column: getattr(scene, column) for column in COLUMNS} for scene in sorted(scenes, key=lambda s: s.scene_id)
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    for column in ("window", "transform"):
        frame[column] = pd.Series([None if value is None else list(value) for value in frame[column]], dtype=object)
    return frame


def scenes_from_frame(frame: pd.DataFrame) -> Iterator[Scene]:
    """Yield the scenes of a table."""
    for row in frame.to_dict("records"):
        window = tuple(int(v) for v in row["window"])
        transform = None if row["transform"] is None else tuple(float(v) for v in row["transform"])
        # Columns of text hold a missing value as NaN.
        values = {
            **row,
            "window": window,
            "transform": transform,
            "crs": row["crs"] if isinstance(row["crs"], str) else None,
        }
        yield Scene(**{str(key): value for key, value in values.items()})
