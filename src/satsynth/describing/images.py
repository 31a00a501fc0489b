"""Propose how images are read: bands and scaling, if they are not 8-bit RGB."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from satsynth.datasets.formats import ImageFormat
from satsynth.rasters.arrays import ARRAYS, array_shape, image_bands, is_array
from satsynth.rasters.handles import reading
from satsynth.rasters.opening import JPEG2000, TIFF, by_window
from satsynth.rasters.pictures import is_deep_png
from satsynth.rasters.reading import intensities
from satsynth.rasters.tiffs import read_image_bands
from satsynth.work.errors import DataError

IMAGES_READ = 16


def propose_images(folder: Path, images: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Propose the field `images` from some of the images.

    Args:
        folder: Folder of the images.
        images: Their paths below it.

    Returns:
        The field, which is empty if images need no conversion, and notes on what is uncertain.
    """
    tiffs, arrays, pngs = (_some_of(images, suffixes) for suffixes in (TIFF, ARRAYS, (".png",)))
    others = [image for image in _some_of(images, JPEG2000) if by_window(folder / image)]
    deep = [image for image in pngs if is_deep_png(folder / image)]
    plain = [image for image in [*pngs, *_some_of(images, (".jpg", ".jpeg"))] if image not in deep]
    fields: dict[str, Any] = {}
    notes: list[str] = []
    lows, highs = [], []
    for image in [*tiffs, *others, *arrays, *deep]:
        try:
            count, kind = _bands_and_kind(folder / image)
            if "bands" not in fields and _must_name_bands(folder / image):
                fields["bands"] = [1, 2, 3]
                notes.append(
                    f"{image} has {count} bands and does not say which are red, green and blue, so the first three are "
                    "proposed. Sentinel-2 files, for example, often begin with blue: [3, 2, 1]."
                )
            if kind in ("uint8", "bool"):
                plain.append(image)
            else:
                low, high = intensities(folder / image, ImageFormat.model_validate(fields))
                lows.append(low)
                highs.append(high)
        except DataError as error:
            notes.append(error.problem)
    if lows:
        low, high = min(lows), max(highs)
        fields["scaling"] = {"low": round(low, 4), "high": round(max(high, low + 1e-3), 4)}
        notes.append(
            f"Images are not 8 bit. In {len(lows)} of them 96 % of the intensities lie between {low:g} and {high:g}, "
            "which become 0 and 255. Look at the pictures after tiling."
        )
    if lows and plain:
        notes.append(
            f"Other images are 8 bit, such as {plain[0]}, and one scaling does not suit both. Convert all images to "
            "the same bit depth, or describe them as two data sets."
        )
    return fields, notes


def _some_of(images: Sequence[str], suffixes: tuple[str, ...]) -> Sequence[str]:
    kind = [image for image in images if image.lower().endswith(suffixes)]
    return kind[:: max(1, len(kind) // IMAGES_READ)]


def _bands_and_kind(path: Path) -> tuple[int, str]:
    if is_array(path):
        sides, kind = array_shape(path)
        return sides[2], kind.name
    with reading(path) as source:
        return source.count, source.dtypes[0]


def _must_name_bands(path: Path) -> bool:
    """Return whether an image can be read only after its bands are named."""
    return not _readable(path, ImageFormat()) and _readable(path, ImageFormat(bands=(1, 2, 3)))


def _readable(path: Path, form: ImageFormat) -> bool:
    try:
        (image_bands if is_array(path) else read_image_bands)(path, form, (0, 0, 1, 1))
    except DataError:
        return False
    return True
