"""Masks from annotations of any kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from satsynth.datasets.description import DatasetDescription
from satsynth.rasters.annotations.coco import read_coco
from satsynth.rasters.annotations.labelme import read_labelme
from satsynth.rasters.annotations.outlines import Annotated, painted
from satsynth.rasters.annotations.yolo import read_yolo
from satsynth.rasters.handles import Window
from satsynth.rasters.opening import require_plain
from satsynth.rasters.reading import RasterInfo
from satsynth.rasters.vectors import Codes
from satsynth.work.errors import DataError


class Annotations:
    """Reads masks from files of annotation tools, in pixels of the image.

    Args:
        description: The data set.
    """

    def __init__(self, description: DatasetDescription) -> None:
        """Prepare the table from labels to classes."""
        self._kind = description.masks.reader
        self._codes = Codes(description)

    def check(self, path: Path, image: str, info: RasterInfo) -> Annotated:
        """Check that annotations belong to an image, and return them.

        Args:
            path: The file of annotations.
            image: Path of the image below the raw folder.
            info: Size of the image.

        Raises:
            DataError: The file cannot be read, or is for an image of another size; or it is empty, and nothing says
                what an image without outlines shows.
        """
        require_plain(path)
        if self._kind == "coco":
            found = read_coco(path, image)
        elif self._kind == "labelme":
            found = read_labelme(path)
        else:
            found = read_yolo(path, info.height, info.width)
        given = (found.width or info.width, found.height or info.height)
        if given != (info.width, info.height):
            raise DataError(
                f"{path} is for an image of {given[0]} x {given[1]} pixels, but {image} has {info.width} x "
                f"{info.height}.",
                "Use the image that was annotated, or annotate this one.",
            )
        for outline in found.outlines:
            if outline.cells is not None and self._kind == "coco" and outline.cells.shape != (info.height, info.width):
                raise DataError(
                    f"{path} has a mask of {outline.cells.shape[1]} x {outline.cells.shape[0]} pixels for {image}, "
                    f"which has {info.width} x {info.height}.",
                    "Use the image that was annotated, or annotate this one.",
                )
        if not found.outlines:
            self._codes.require_background(path, "has no outlines")
        return found

    def read(self, path: Path, image: str, info: RasterInfo, window: Window | None) -> np.ndarray:
        """Rasterise the outlines of an image.

        Args:
            path: The file of annotations.
            image: Path of the image below the raw folder.
            info: Size of the image.
            window: (x, y, width, height) in the image's pixels, or None for the whole image.

        Returns:
            ``(h, w)`` uint8 of class indices, 255 = ignore.

        Raises:
            DataError: The file cannot be used, or holds labels that are not in the description.
        """
        outlines = self.check(path, image, info).outlines
        codes = self._codes.known(path, [outline.label for outline in outlines], "label")
        return painted(outlines, codes, window or (0, 0, info.width, info.height), self._codes.outside)
