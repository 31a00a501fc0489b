"""Decoding every image and mask once, and looking at every label, before anything is built on them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from satsynth.datasets.labels import Unknown
from satsynth.rasters.reading import TIFF, RasterInfo, raster_info
from satsynth.rasters.tiffs import Window
from satsynth.scenes.problems import BadFile, refuse
from satsynth.scenes.scene import Scene, SceneReader
from satsynth.work.errors import DataError
from satsynth.work.progress import Progress

_PIXELS = 1 << 23
Files = tuple[str, str]


def check_scenes(scenes: Sequence[Scene], reader: SceneReader, workers: int) -> None:
    """Decode every image and mask once and look at every label.

    Raises:
        BadFilesError: Unreadable or truncated files and unknown ids or colours, all listed at once.
    """
    refuse(unusable_files(scenes, reader, workers), reader.description.name)


def unusable_files(scenes: Sequence[Scene], reader: SceneReader, workers: int) -> list[BadFile]:
    """Return what is wrong with files once they are decoded; a file that serves several scenes is named for each.

    Args:
        scenes: The scenes.
        reader: Reads their files.
        workers: Threads; several of them share a raster that is read by window.
    """
    by_files: dict[Files, list[Scene]] = {}
    for scene in scenes:
        by_files.setdefault((scene.image, scene.mask), []).append(scene)
    jobs = [(files, window) for files in by_files for window in _windows(reader.raw / files[0])]
    looks = {files: _Look() for files in by_files}
    with Progress(len(jobs), "Checking images and masks", "parts") as progress, ThreadPoolExecutor(workers) as pool:
        for (files, _), look in zip(jobs, pool.map(lambda job: _look(job[0], job[1], reader), jobs), strict=True):
            looks[files].add(look)
            progress.update()
    return [
        BadFile(found.file, found.problem, found.remedy, scene.scene_id)
        for files, look in looks.items()
        for found in look.verdict(files, reader)
        for scene in by_files[files]
    ]


@dataclass
class _Look:
    """What was seen in a part of an image and its mask, or in all of both."""

    bad: BadFile | None = None
    unknown: dict[int, Unknown] = field(default_factory=dict)

    def add(self, later: _Look) -> None:
        """Add what was seen further down."""
        self.bad = self.bad or later.bad
        for code, found in later.unknown.items():
            self.unknown[code] = self.unknown[code] + found if code in self.unknown else found

    def verdict(self, files: Files, reader: SceneReader) -> list[BadFile]:
        """Return what is wrong with the files in words."""
        if self.bad or not self.unknown:
            return [self.bad] if self.bad else []
        turned = reader.labels.reversed_words(self.unknown)
        if turned:
            remedy = (
                "Write these masks again with the channels in the order R, G, B, or, if the description is wrong, "
                "reverse its `raw` colours."
            )
            return [BadFile(files[1], turned, remedy)]
        remedy = "Correct the mask, or add the value to `classes` or `ignore` in the description."
        return [BadFile(files[1], f"holds an unknown value: {reader.labels.in_words(self.unknown)}", remedy)]


def _look(files: Files, window: Window | None, reader: SceneReader) -> _Look:
    image, mask = files
    try:
        info = raster_info(reader.raw / image)
        reader.image(image, window)
        reader.valid(image, window)
    except DataError as error:
        return _Look(BadFile.of(error, image, reader.raw))
    look = _Look()
    try:
        for part in [window] if window else _bands(info):
            look.add(_Look(unknown=reader.labels.unknown_codes(reader.raw_mask(mask, info, part), part[1])))
    except DataError as error:
        return _Look(BadFile.of(error, mask, reader.raw))
    return look


def _windows(image: Path) -> Sequence[Window | None]:
    """Return the parts of an image that threads share: bands of a TIFF, since it is read by window, or all of it."""
    return _bands(raster_info(image)) if image.suffix.lower() in TIFF else [None]


def _bands(info: RasterInfo) -> list[Window]:
    """Return bands of rows, high enough that few blocks of a tiled file are decoded twice."""
    rows = max(512, _PIXELS // info.width // 512 * 512)
    return [(0, top, info.width, min(rows, info.height - top)) for top in range(0, info.height, rows)]
