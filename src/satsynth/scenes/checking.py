"""Decoding every image and mask once, and looking at every label, before anything is built on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from satsynth.scenes.labels import Unknown
from satsynth.scenes.problems import BadFile, refuse
from satsynth.scenes.rasters import RasterInfo, raster_info
from satsynth.scenes.scene import Scene, SceneReader
from satsynth.scenes.tiffs import Window
from satsynth.work.errors import DataError
from satsynth.work.progress import Progress

_PIXELS = 1 << 23


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
        workers: Threads.
    """
    by_files: dict[tuple[str, str], list[Scene]] = {}
    for scene in scenes:
        by_files.setdefault((scene.image, scene.mask), []).append(scene)
    bad: list[BadFile] = []
    with Progress(len(by_files), "Checking images and masks", "files") as progress, ThreadPoolExecutor(workers) as pool:

        def examine(parts: list[Scene]) -> list[BadFile]:
            return [
                BadFile(found.file, found.problem, found.remedy, scene.scene_id)
                for found in _examined(parts[0], reader)
                for scene in parts
            ]

        for found in pool.map(examine, by_files.values()):
            bad += found
            progress.update()
    return bad


def _examined(scene: Scene, reader: SceneReader) -> list[BadFile]:
    """Read an image and its mask whole, a band of rows at a time."""
    try:
        info = raster_info(reader.raw / scene.image)
        for window in _bands(info):
            reader.image(scene.image, window)
    except DataError as error:
        return [BadFile.of(error, scene.image, reader.raw)]
    unknown: dict[int, Unknown] = {}
    try:
        for window in _bands(info):
            found = reader.labels.unknown_codes(reader.raw_mask(scene.mask, info, window), window[1])
            unknown |= {code: unknown[code] + more if code in unknown else more for code, more in found.items()}
    except DataError as error:
        return [BadFile.of(error, scene.mask, reader.raw)]
    turned = reader.labels.reversed_words(unknown)
    if turned:
        remedy = (
            "Write these masks again with the channels in the order R, G, B, or, if the description is wrong, "
            "reverse its `raw` colours."
        )
        return [BadFile(scene.mask, turned, remedy)]
    if unknown:
        remedy = "Correct the mask, or add the value to `classes` or `ignore` in the description."
        return [BadFile(scene.mask, f"holds an unknown value: {reader.labels.in_words(unknown)}", remedy)]
    return []


def _bands(info: RasterInfo) -> Iterator[Window]:
    """Yield windows over the whole width, high enough that a tiled file decodes few of its blocks twice."""
    rows = max(512, _PIXELS // info.width // 512 * 512)
    for top in range(0, info.height, rows):
        yield 0, top, info.width, min(rows, info.height - top)
