"""Painting whole images for masks that a user has drawn, from one tile up to a scene."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from satsynth.datasets.painting import LEGEND, Painter
from satsynth.generation.drawers import SceneDrawer
from satsynth.generation.families import FamilySettings, family_of, only_together
from satsynth.generation.saved import SavedGenerator
from satsynth.generation.settings import SamplingSettings
from satsynth.pairs.masks import MaskEntry, MaskStore
from satsynth.rasters.writing import write_raster
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests
from satsynth.work.errors import AncestryError
from satsynth.work.files import write_json
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.units import Report, Unit, run_units

RESULT_VERSION = 1
MEMORY = "Use smaller scenes, or lower `sampling.batch_size` and `labelling.batch_size`."


@dataclass(frozen=True)
class Artist:
    """What draws whole scenes.

    Args:
        generator: Folder of the generator.
        settings: Parameters of its family.
        compute: Where.
    """

    generator: Path
    settings: FamilySettings
    compute: ComputeSettings

    def identity(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Return the digest of the generator, and the settings that decide what it draws."""
        from satsynth.training.device import arithmetic

        saved = SavedGenerator(self.generator)
        family = family_of(saved.family)
        decided = {
            "drawing": self.settings.drawing.identity(),
            "family": [family.name, family.drawing_version],
            **arithmetic(self.compute),
        }
        return digests(generator=saved), decided


@lru_cache(maxsize=1)
def drawer_of(artist: Artist) -> SceneDrawer:
    """Return the generator, loaded once in each process that draws.

    Raises:
        SatSynthError: It has images and masks together only.
    """
    saved = SavedGenerator(artist.generator)
    drawer = family_of(saved.family).load(saved, artist.settings, artist.compute)
    if not isinstance(drawer, SceneDrawer):
        raise only_together(saved.family, "folder")
    return drawer


def require_classes(saved: SavedGenerator, class_names: Sequence[str]) -> None:
    """Refuse a generator of other classes than those of the data set.

    Raises:
        AncestryError: The classes differ.
    """
    if saved.class_names != list(class_names):
        raise AncestryError(
            f"`generator` ({saved.path}) has the classes {saved.class_names}, but the data set has "
            f"{list(class_names)}.",
            "Train it again: kedro run --pipeline=augment",
        )


def number_of(name: str) -> int:
    """Return the number of a scene: it depends on its name only, so that other files beside it change nothing."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def painting_step(artist: Artist, masks: MaskStore, sampling: SamplingSettings, painter: Painter) -> Step:
    """Return what identifies painted scenes."""
    generator, decided = artist.identity()
    decided |= {"seed": sampling.seed, "batch_size": sampling.batch_size, "legend": painter.legend()}
    return Step("painting", RESULT_VERSION, generator | digests(masks=masks), decided)


def paint_scenes(
    folder: WorkFolder, artist: Artist, masks: MaskStore, sampling: SamplingSettings, painter: Painter
) -> None:
    """Paint an image for each mask, and write both; scenes that are done are kept.

    Args:
        folder: Work folder of `painting_step`.
        artist: The generator.
        masks: The masks.
        sampling: Seed and batches.
        painter: Writes masks as the data set does.
    """
    scenes = [
        (entry.height * entry.width, (masks.path, number, artist, sampling, painter, folder.result))
        for number, entry in enumerate(masks.entries)
    ]
    draw_scenes(folder, paint_scene, scenes, "Painting", "pixels")
    write_json(folder.result / LEGEND, painter.legend())
    finish_rasters(folder, "painted scenes", [entry.name for entry in masks.entries])


def draw_scenes(
    folder: WorkFolder, task: Callable[..., None], scenes: Sequence[tuple[int, tuple[Any, ...]]], title: str, unit: str
) -> None:
    """Draw scenes one after another, each with a mark that it is done; those that have one are kept.

    Args:
        folder: Work folder.
        task: Draws one scene and writes its mark.
        scenes: Size of each, and the arguments of the task behind the mark.
        title: What is shown beside the progress.
        unit: Unit of the sizes.
    """
    from satsynth.training.device import memory_errors

    done = folder.path / "done"
    done.mkdir(exist_ok=True)
    units = [Unit(done / f"{number:05d}.json", size, given) for number, (size, given) in enumerate(scenes)]
    with memory_errors(MEMORY):
        try:
            run_units(task, units, title, unit)
        finally:
            # The memory of the device is for whatever follows.
            drawer_of.cache_clear()


def paint_scene(
    mark: Path,
    masks: Path,
    number: int,
    artist: Artist,
    sampling: SamplingSettings,
    painter: Painter,
    target: Path,
    report: Report,
) -> None:
    """Paint one scene and write image and mask, then its mark: an independent unit of work."""
    store = MaskStore(masks)
    entry: MaskEntry = store.entries[number]
    mask = store.arrays()[number]
    image = drawer_of(artist).paint_scene(number_of(entry.name), mask, sampling.seed, sampling.batch_size)
    write_raster(target / "images", entry.name, image, entry.crs, entry.transform)
    write_raster(target / "masks", entry.name, painter.paint(mask), entry.crs, entry.transform)
    write_json(mark, {})


def finish_rasters(folder: WorkFolder, kind: str, scenes: Sequence[str]) -> None:
    """Finish a folder of rasters."""
    files = sorted(path.relative_to(folder.result).as_posix() for path in folder.result.rglob("*") if path.is_file())
    folder.finish({"kind": kind, "scenes": list(scenes)}, files)
