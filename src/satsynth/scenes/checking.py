"""Decode every image and mask once and check every label before anything is built on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from satsynth.datasets.labels import UNKNOWN, Unknown
from satsynth.rasters.handles import Window
from satsynth.rasters.opening import by_window
from satsynth.rasters.reading import RasterInfo, RawMask, alpha_holds_data, raster_info
from satsynth.scenes.hidden import Hidden
from satsynth.scenes.problems import BadFile, refuse
from satsynth.scenes.scene import Scene, SceneReader
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
    """Decode the files of scenes and return those that cannot be used, once for each scene that uses them."""
    return inspect(scenes, reader, workers)[0]


def inspect(scenes: Sequence[Scene], reader: SceneReader, workers: int) -> tuple[list[BadFile], Hidden]:
    """Decode the files of scenes.

    Args:
        scenes: The scenes.
        reader: Reader of their files.
        workers: Number of threads. A raster that is read by window is shared among several of them.

    Returns:
        The files that cannot be used, once for each scene that uses them, and what files hide of their own pixels.
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
    kinds = {files[0]: found.alpha for files, found in findings.items()}
    bad_files = [
        BadFile(bad.file, bad.problem, bad.remedy, scene.scene_id)
        for files, found in findings.items()
        for bad in [*found.bad_files(files, reader), *_doubtful_alpha(files[0], kinds)]
        for scene in by_files[files]
    ]
    farthest = max((found.farthest for found in findings.values()), default=0.0)
    return bad_files, Hidden.of(((files, found.hidden) for files, found in findings.items()), farthest)


def _doubtful_alpha(image: str, kinds: Mapping[str, str]) -> Iterator[BadFile]:
    """Yield an image whose alpha hides pixels while the same band of other images holds data."""
    data = next((other for other, kind in kinds.items() if kind == "data"), None)
    if data is not None and kinds[image] == "hides":
        yield BadFile(
            image,
            f"hides pixels by a band that it calls alpha, but in {data} the band of that name holds data",
            "If the band is data in all images, leave it out in the description, as in `images: {bands: [1, 2, 3]}`. "
            "If it is transparency in all of them, name it as the last one: `images: {bands: [1, 2, 3, 4]}`.",
        )


@dataclass
class _Findings:
    """What is wrong with an image and its mask, or with a part of both."""

    bad: BadFile | None = None
    unknown: dict[int, Unknown] = field(default_factory=dict)
    hidden: Counter[str] = field(default_factory=Counter)
    alpha: str = ""
    farthest: float = 0.0

    def add(self, later: _Findings) -> None:
        """Add the findings of a part further down."""
        self.bad = self.bad or later.bad
        self.hidden.update(later.hidden)
        self.alpha = max(self.alpha, later.alpha)
        self.farthest = max(self.farthest, later.farthest)
        for code, found in later.unknown.items():
            self.unknown[code] = self.unknown[code] + found if code in self.unknown else found

    def bad_files(self, files: Files, reader: SceneReader) -> list[BadFile]:
        """Return the findings as bad files, with problem and remedy in words."""
        if self.bad:
            return [self.bad]
        if (
            self.hidden["transparent"]
            and self.hidden["transparent"] == self.hidden["labels"]
            and self.hidden["beneath"]
        ):
            return [
                BadFile(
                    files[1],
                    "is transparent everywhere, but holds different values beneath",
                    "If these are the labels, set `masks: {transparent: keep}` in the description; otherwise export "
                    "the mask again.",
                )
            ]
        if not self.unknown:
            return []
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
        found = _of_image(image, window, reader)
    except Exception as error:
        return _Findings(BadFile.caught(error, image, reader.raw))
    if not mask:
        return found
    try:
        for part in [window] if window else _bands(info):
            found.add(_of_mask(reader.raw_mask(mask, info, part, image), part[1], reader))
    except Exception as error:
        return _Findings(BadFile.caught(error, mask, reader.raw))
    return found


def _of_image(image: str, window: Window | None, reader: SceneReader) -> _Findings:
    valid = reader.valid(image, window)
    hidden = 0 if valid is None else int(valid.size - np.count_nonzero(valid))
    info = raster_info(reader.raw / image)
    total = window[2] * window[3] if window else info.height * info.width
    named = reader.description.images.bands is not None
    data = None if named else alpha_holds_data(reader.raw / image, reader.decoded)
    kind = "data" if data else "hides" if data is not None and hidden else ""
    return _Findings(hidden=Counter({"image": total, "invalid": hidden}), alpha=kind)


def _of_mask(raw: RawMask, top: int, reader: SceneReader) -> _Findings:
    clear = raw.clear if reader.description.masks.transparent == "ignore" else None
    hidden = Counter({"labels": raw.values.shape[0] * raw.values.shape[1]})
    if clear is not None:
        beneath = raw.values[clear]
        hidden["transparent"] = len(beneath)
        hidden["beneath"] = int(len(beneath) > 0 and bool((beneath != beneath[0]).any()))
    if raw.absent is not None:
        classes = reader.labels.indices(raw.values)[raw.absent]
        hidden["absent"] = int(np.count_nonzero(classes >= UNKNOWN))
        hidden["overruled"] = len(classes) - hidden["absent"]
    unknown = reader.unknown(raw, top)
    if reader.description.masks.nearest is not None:
        hidden["moved"], farthest = reader.labels.moved(raw.values)
        return _Findings(unknown=unknown, hidden=hidden, farthest=farthest)
    return _Findings(unknown=unknown, hidden=hidden)


def _windows(image: Path) -> Sequence[Window | None]:
    """Return the parts of an image that threads share: bands of what is read by window, or the whole image."""
    return _bands(raster_info(image)) if by_window(image) or image.suffix.lower() == ".npy" else [None]


def _bands(info: RasterInfo) -> list[Window]:
    """Return bands of rows that are high enough for few blocks of a tiled file to be decoded twice."""
    rows = max(512, _PIXELS // info.width // 512 * 512)
    return [(0, top, info.width, min(rows, info.height - top)) for top in range(0, info.height, rows)]
