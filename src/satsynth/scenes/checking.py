"""Decode every image and mask once and check every label before anything is built on them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from satsynth.datasets.labels import Unknown
from satsynth.rasters.opening import TIFF
from satsynth.rasters.reading import RasterInfo, raster_info
from satsynth.rasters.tiffs import Window
from satsynth.scenes.problems import BadFile, refuse
from satsynth.scenes.scene import Scene, SceneReader
from satsynth.work.errors import DataError
from satsynth.work.progress import Progress

_PIXELS = 1 << 23
Files = tuple[str, str]


def check_scenes(scenes: Sequence[Scene], reader: SceneReader, workers: int) -> None:
    """Decode every image and mask once and check every label.

    Raises:
        BadFilesError: Files are unreadable or truncated, or hold unknown ids or colours. The message lists all of them.
    """
    refuse(unusable_files(scenes, reader, workers), reader.description.name)


def unusable_files(scenes: Sequence[Scene], reader: SceneReader, workers: int) -> list[BadFile]:
    """Decode the files of scenes and return those that cannot be used, once for each scene that uses them.

    Args:
        scenes: The scenes.
        reader: Reader of their files.
        workers: Number of threads. A raster that is read by window is shared among several of them.
    """
    by_files: dict[Files, list[Scene]] = {}
    for scene in scenes:
        by_files.setdefault((scene.image, scene.mask), []).append(scene)
    jobs = [(files, window) for files in by_files for window in _windows(reader.raw / files[0])]
    findings = {files: _Findings() for files in by_files}
    with Progress(len(jobs), "Checking images and masks", "parts") as progress, ThreadPoolExecutor(workers) as pool:
        inspected = pool.map(lambda job: _inspect(job[0], job[1], reader), jobs)
        for (files, _), part in zip(jobs, inspected, strict=True):
            findings[files].add(part)
            progress.update()
    return [
        BadFile(bad.file, bad.problem, bad.remedy, scene.scene_id)
        for files, found in findings.items()
        for bad in found.bad_files(files, reader)
        for scene in by_files[files]
    ]


@dataclass
class _Findings:
    """What is wrong with an image and its mask, or with a part of both."""

    bad: BadFile | None = None
    unknown: dict[int, Unknown] = field(default_factory=dict)

    def add(self, later: _Findings) -> None:
        """Add the findings of a part further down."""
        self.bad = self.bad or later.bad
        for code, found in later.unknown.items():
            self.unknown[code] = self.unknown[code] + found if code in self.unknown else found

    def bad_files(self, files: Files, reader: SceneReader) -> list[BadFile]:
        """Return the findings as bad files, with problem and remedy in words."""
        if self.bad or not self.unknown:
            return [self.bad] if self.bad else []
        reversed_order = reader.labels.reversed_words(self.unknown)
        if reversed_order:
            remedy = (
                "Save these masks again with the channels in the order R, G, B. If the description is wrong instead, "
                "reverse its `raw` colours."
            )
            return [BadFile(files[1], reversed_order, remedy)]
        remedy = "Correct the mask, or add the value to `classes` or `ignore` in the description."
        return [BadFile(files[1], f"holds an unknown value: {reader.labels.in_words(self.unknown)}", remedy)]


def _inspect(files: Files, window: Window | None, reader: SceneReader) -> _Findings:
    image, mask = files
    try:
        info = raster_info(reader.raw / image)
        reader.image(image, window)
        reader.valid(image, window)
    except DataError as error:
        return _Findings(BadFile.of(error, image, reader.raw))
    found = _Findings()
    try:
        for part in [window] if window else _bands(info):
            found.add(_Findings(unknown=reader.labels.unknown_codes(reader.raw_mask(mask, info, part), part[1])))
    except DataError as error:
        return _Findings(BadFile.of(error, mask, reader.raw))
    return found


def _windows(image: Path) -> Sequence[Window | None]:
    """Return the parts of an image that threads share: bands of a TIFF, which is read by window, or the whole image."""
    return _bands(raster_info(image)) if image.suffix.lower() in TIFF else [None]


def _bands(info: RasterInfo) -> list[Window]:
    """Return bands of rows that are high enough for few blocks of a tiled file to be decoded twice."""
    rows = max(512, _PIXELS // info.width // 512 * 512)
    return [(0, top, info.width, min(rows, info.height - top)) for top in range(0, info.height, rows)]
