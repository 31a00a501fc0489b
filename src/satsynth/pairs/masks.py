"""Whole masks of any size, read by window without decoding: those of training scenes, and those that a user has drawn.

They lie one behind the other in one file, a byte a pixel, so that many processes read windows of them at little cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from satsynth.datasets.description import DatasetDescription
from satsynth.datasets.painting import LEGEND, Painter
from satsynth.rasters.by_name import rasters_by_name
from satsynth.rasters.opening import TIFF, require_plain
from satsynth.rasters.reading import RasterInfo, raster_info, read_raw_mask
from satsynth.scenes.scene import Scene, ScenePart, SceneReader
from satsynth.work.errors import DamagedError, DataError, listing
from satsynth.work.files import atomic, file_digest, read_json
from satsynth.work.finished import Finished
from satsynth.work.folder import Step, WorkFolder

RESULT_VERSION = 1
MASKS = "masks.u8"
# Rows of a scene that are read at once.
STRIPE = 1024
SUFFIXES = (".png", *TIFF)


@dataclass(frozen=True)
class MaskEntry:
    """A mask of a store.

    Args:
        name: Its name, unique in the store.
        height: Rows.
        width: Columns.
        crs: Coordinate reference system, or None.
        transform: Six coefficients of the affine transform of its grid, or None.
    """

    name: str
    height: int
    width: int
    crs: str | None = None
    transform: tuple[float, ...] | None = None


class MaskStore(Finished):
    """Whole masks of class indices; holds its path and manifest only."""

    title = "store of masks"
    remedy = "kedro run --pipeline=sampling"

    @property
    def class_names(self) -> list[str]:
        """Names in order of the class index."""
        return list(self.manifest["class_names"])

    @cached_property
    def entries(self) -> list[MaskEntry]:
        """The masks, in order of their names."""
        return [
            MaskEntry(**{**entry, "transform": entry["transform"] and tuple(entry["transform"])})
            for entry in self.manifest["masks"]
        ]

    def arrays(self) -> list[np.ndarray]:
        """Return the masks, ``(H, W)`` uint8 of class indices with 255 = ignore, without reading them into memory."""
        pixels = np.memmap(self.file(MASKS), np.uint8, "r")
        ends = np.cumsum([entry.height * entry.width for entry in self.entries])
        parts = np.split(pixels, ends[:-1])
        return [part.reshape(e.height, e.width) for part, e in zip(parts, self.entries, strict=True)]


def write_masks(
    folder: WorkFolder, masks: Iterable[tuple[MaskEntry, Iterator[np.ndarray]]], names: Sequence[str]
) -> None:
    """Write masks into a store.

    Args:
        folder: Work folder.
        masks: Each mask and its stripes of rows from the top, ``(h, W)`` uint8.
        names: Class names in order of the index.
    """
    entries = []
    with atomic(folder.result / MASKS) as temporary, temporary.open("wb") as file:
        for entry, stripes in masks:
            for stripe in stripes:
                file.write(np.ascontiguousarray(stripe).tobytes())
            entries.append(vars(entry))
    folder.finish({"kind": "masks", "class_names": list(names), "masks": entries}, [MASKS])


def write_scene_masks(folder: WorkFolder, scenes: Sequence[Scene], reader: SceneReader) -> None:
    """Write the masks of training scenes; those of val and test are never read.

    Args:
        folder: Work folder.
        scenes: The scenes of all splits.
        reader: Reads them.
    """

    def stripes(scene: Scene) -> Iterator[np.ndarray]:
        for top in range(0, scene.height, STRIPE):
            height = min(STRIPE, scene.height - top)
            yield ScenePart(reader, scene, top, 0, height, scene.width).mask(top, 0, height, scene.width)

    train = [scene for scene in scenes if scene.split == "train"]
    found = ((MaskEntry(scene.scene_id, scene.height, scene.width), stripes(scene)) for scene in train)
    write_masks(folder, found, reader.description.class_names)


def find_drawn_masks(path: str, project: Path) -> dict[str, Path]:
    """Return the mask files of a folder, by their name below it without suffix.

    Args:
        path: The folder, absolute or relative to the project.
        project: Folder of the project.

    Raises:
        DataError: There are none, or two have one name.
    """
    folder = project / Path(path).expanduser()
    found = rasters_by_name(folder, SUFFIXES) if path else {}
    if not found:
        raise DataError(
            f"`sampling.layout_folder` {path!r} ({folder}) holds no masks.",
            f"Put masks there as {', '.join(SUFFIXES)}, or name their folder: --params=sampling.layout_folder=<folder>",
        )
    return found


def with_own_ignored(description: DatasetDescription, folder: Path) -> DatasetDescription:
    """Return a description that also ignores what satsynth itself has written for ignored pixels of masks in a folder.

    Args:
        description: The data set. Polygons have that value already.
        folder: The masks. What ignored pixels have is in a legend in it or beside it; without one nothing is added.
    """
    painter = Painter(description)
    if description.masks.encoding == "attribute" or painter.ignore in description.ignore:
        return description
    for file in (folder / LEGEND, folder.parent / LEGEND):
        # Others keep what they like under this name.
        with suppress(OSError, DamagedError):
            written = read_json(file)
            if isinstance(written, dict) and written.get("ignore") == painter.legend()["ignore"]:
                return description.model_copy(update={"ignore": (*description.ignore, painter.ignore)})
    return description


def drawn_masks_step(files: dict[str, Path], description: DatasetDescription, side: int) -> Step:
    """Return what identifies a store of masks that a user has drawn."""
    parents = {name: file_digest(path) for name, path in files.items()}
    used = description.model_dump(mode="json", include={"classes", "ignore", "masks"})
    return Step("drawn_masks", RESULT_VERSION, parents, {"description": used, "side": side})


def write_drawn_masks(folder: WorkFolder, files: dict[str, Path], description: DatasetDescription, side: int) -> None:
    """Write masks that a user has drawn, in the data set's own ids or colours, a pixel of a mask for one of a tile.

    Args:
        folder: Work folder.
        files: The masks by name.
        description: The data set.
        side: Side of a tile in pixels.

    Raises:
        DataError: Masks are smaller than a tile, cannot be read, or hold a value that is no class.
    """
    reader = SceneReader(description, Path())
    infos: dict[str, RasterInfo] = {}
    for name, path in files.items():
        require_plain(path)
        infos[name] = raster_info(path)
    small = [f"{files[name]}: {i.width} x {i.height}" for name, i in infos.items() if min(i.height, i.width) < side]
    if small:
        raise DataError(
            f"{len(small)} mask(s) of `sampling.layout_folder` are smaller than a tile of {side} x {side} pixels:\n"
            f"{listing(small, 5)}",
            "Draw them larger: one pixel of a mask becomes one pixel of the image.",
        )

    def entries() -> Iterator[tuple[MaskEntry, Iterator[np.ndarray]]]:
        for name, info in infos.items():
            entry = MaskEntry(name, info.height, info.width, info.crs, info.transform)
            yield entry, iter([_class_indices(files[name], reader)])

    write_masks(folder, entries(), description.class_names)


def _class_indices(path: Path, reader: SceneReader) -> np.ndarray:
    description = reader.description
    # Polygons have no raw values in a raster: their masks hold class indices, as an export writes them.
    encoding: Any = "index" if description.masks.encoding == "attribute" else description.masks.encoding
    raw = read_raw_mask(path, encoding, soft=description.masks.nearest is not None)
    unknown = reader.unknown(raw, 0)
    if unknown:
        raise DataError(
            f"{path} holds values that are no class of '{description.name}': {reader.labels.in_words(unknown)}.",
            "Draw it in the ids or colours of the data set's description, as `kedro run --pipeline=export` lists them "
            "in classes.json.",
        )
    return reader.indices(raw)
