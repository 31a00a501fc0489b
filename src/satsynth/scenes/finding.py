"""Finding a data set's scenes, matching images with masks, and checking every pair before anything is built on it."""

from __future__ import annotations

import importlib.util
import logging
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from satsynth.scenes.description import BlocksLayout, DatasetDescription, FilesLayout
from satsynth.scenes.rasters import raster_info, read_image
from satsynth.scenes.scene import Scene, SceneReader
from satsynth.work.errors import DataError, listing
from satsynth.work.files import digest_of
from satsynth.work.progress import Progress

log = logging.getLogger(__name__)
RESULT_VERSION = 1
SPLITS = ("train", "val", "test")


def raw_folder(description: DatasetDescription, override: str | None, project: Path) -> Path:
    """Return the folder of raw data.

    Args:
        description: The data set.
        override: Another place than the description's, absolute or relative to the project.
        project: The project's folder.

    Raises:
        DataError: It is not there; the message says where the data come from.
    """
    where = override or description.raw
    if where.startswith("package:"):
        module = where.removeprefix("package:")
        try:
            spec = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            spec = None
        if spec is None or not spec.submodule_search_locations:
            raise DataError(
                f"The Python package {module}, which ships the data set '{description.name}', is not installed.",
                description.obtain,
            )
        return Path(next(iter(spec.submodule_search_locations)))
    folder = (project / Path(where).expanduser()).resolve()
    if not folder.is_dir() or not any(folder.iterdir()):
        state = "is empty" if folder.is_dir() else "does not exist"
        raise DataError(
            f"The raw folder of the data set '{description.name}', {folder}, {state}.",
            f"{description.obtain.strip()} Put it there, or name another folder with --params=raw=<folder>.",
        )
    return folder


def find_scenes(description: DatasetDescription, raw: Path, digest: Callable[[Path], str]) -> list[Scene]:
    """Find all scenes with sizes, splits and digests, without decoding a pixel.

    Args:
        description: The data set.
        raw: Its raw folder.
        digest: Digest of a file's content.

    Raises:
        DataError: Nothing was found, images without masks, unreadable files, differing sizes or an empty split;
            all that is wrong is listed at once.
    """
    layout = description.layout
    problems: list[str] = []
    if isinstance(layout, FilesLayout):
        found, problems = _files(description, layout, raw)
    else:
        found = _blocks(description, layout, raw)
    scenes = []
    for scene in found:
        try:
            scenes.append(_measured(scene, description, raw, digest))
        except DataError as error:
            problems.append(error.problem)
    _refuse(problems, description)
    groups = sorted({scene.group for scene in scenes})
    for split in ("val", "test"):
        named = getattr(description.splits, split)
        unmatched = [name for name in named if not any(fnmatch(group, name) for group in groups)]
        if unmatched:
            raise DataError(
                f"`splits.{split}` of the data set '{description.name}' names {unmatched}, which no group matches.",
                f"Correct it. The groups are: {', '.join(groups[:40])}.",
            )
    if not any(scene.split == "train" for scene in scenes):
        raise DataError(
            f"The split 'train' of the data set '{description.name}' is empty: every group is for val or test.",
            f"Take some of these groups out of `splits`: {', '.join(groups[:40])}.",
        )
    return scenes


def check_scenes(scenes: list[Scene], reader: SceneReader, workers: int) -> None:
    """Decode every image and mask once and look at every label.

    Raises:
        DataError: Unreadable or truncated files and unknown ids or colours, all listed at once.
    """
    by_image = {(scene.image, scene.mask): scene for scene in scenes}
    problems: list[str] = []
    with Progress(len(by_image), "Checking images and masks", "files") as progress, ThreadPoolExecutor(workers) as pool:
        for found in pool.map(lambda scene: _problems_of(scene, reader), by_image.values()):
            problems += found
            progress.update()
    _refuse(problems, reader.description)


def _refuse(problems: list[str], description: DatasetDescription) -> None:
    if problems:
        raise DataError(
            f"The data set '{description.name}' has {len(problems)} problem(s):\n{listing(problems)}",
            f"Mend or remove these files, or correct conf/base/parameters_dataset_{description.name}.yml.",
        )


def _split_of(group: str, description: DatasetDescription) -> str:
    named = [
        split
        for split in ("val", "test")
        if any(fnmatch(group, pattern) for pattern in getattr(description.splits, split))
    ]
    if len(named) > 1:
        raise DataError(
            f"The group '{group}' of the data set '{description.name}' is named under both `splits.val` and "
            "`splits.test`.",
            "Leave it in one of them.",
        )
    return named[0] if named else "train"


def _draft(scene_id: str, group: str, image: str, mask: str, description: DatasetDescription) -> Scene:
    split = _split_of(group, description)
    return Scene(scene_id, group, split, image, mask, (0, 0, 0, 0), 0, 0, None, None, "")


def _files(description: DatasetDescription, layout: FilesLayout, raw: Path) -> tuple[list[Scene], list[str]]:
    pattern = re.compile(layout.pattern)
    files = sorted(path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file())
    matches = [(name, match) for name in files if (match := pattern.fullmatch(name))]
    if not matches:
        raise DataError(
            f"None of the {len(files)} files below {raw} matches the pattern {layout.pattern!r} "
            f"of the data set '{description.name}'.",
            f"Check the folder, or `layout.pattern`. The first files there: {', '.join(files[:5]) or 'none'}.",
        )
    scenes, problems = [], []
    for image, match in matches:
        parts = match.groupdict()
        mask = layout.mask.format(**parts)
        if not (raw / mask).exists():
            problems.append(f"{raw / image} has no mask: {mask} is not there")
            continue
        scenes.append(_draft(layout.scene.format(**parts), layout.group.format(**parts), image, mask, description))
    for name, count in Counter(scene.scene_id for scene in scenes).items():
        if count > 1:
            problems.append(
                f"{count} images give the same scene identifier '{name}': let `layout.scene` tell them apart"
            )
    return scenes, problems


def _blocks(description: DatasetDescription, layout: BlocksLayout, raw: Path) -> list[Scene]:
    for name in (layout.image, layout.mask):
        if not (raw / name).exists():
            raise DataError(
                f"{raw / name}, a part of the data set '{description.name}', is missing.", description.obtain
            )
    info = raster_info(raw / layout.image)
    first, last = layout.rows
    side = layout.block
    rows, columns = info.height // side, info.width // side
    if not 0 <= first <= last < rows:
        raise DataError(
            f"`layout.rows: [{first}, {last}]` lies outside of the {rows} rows of blocks (0..{rows - 1}).",
            "Correct it.",
        )
    scenes = []
    for row in range(first, last + 1):
        for column in range(columns):
            draft = _draft(f"r{row:02d}c{column:02d}", f"c{column:02d}", layout.image, layout.mask, description)
            scenes.append(replace(draft, window=(column * side, row * side, side, side)))
    return scenes


def _measured(scene: Scene, description: DatasetDescription, raw: Path, digest: Callable[[Path], str]) -> Scene:
    info = raster_info(raw / scene.image)
    if description.masks.align == "exact":
        mask = raster_info(raw / scene.mask)
        if (mask.height, mask.width) != (info.height, info.width):
            raise DataError(
                f"{raw / scene.image} is {info.width} x {info.height} pixels, "
                f"but its mask {scene.mask} is {mask.width} x {mask.height}"
            )
    window = scene.window if scene.window[2] else (0, 0, info.width, info.height)
    return replace(
        scene,
        window=window,
        height=max(1, round(window[3] * description.scale)),
        width=max(1, round(window[2] * description.scale)),
        crs=info.crs,
        transform=info.transform,
        digest=digest_of([digest(raw / scene.image), digest(raw / scene.mask), list(window)]),
    )


def _problems_of(scene: Scene, reader: SceneReader) -> list[str]:
    try:
        image = read_image(reader.raw / scene.image)
    except DataError as error:
        return [error.problem]
    height, width = image.shape[:2]
    try:
        raw = reader.raw_mask(scene.mask, raster_info(reader.raw / scene.image))
    except DataError as error:
        return [error.problem]
    if raw.shape[:2] != (height, width):
        return [f"{reader.raw / scene.mask} does not have its image's size {width} x {height}"]
    return [
        f"{reader.raw / scene.mask} holds an unknown value: {unknown}" for unknown in reader.labels.unknown_values(raw)
    ]
