"""Where the masks of a set of pairs come from, beyond those that a generator draws by itself."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from satsynth.datasets.description import DatasetDescription, KeepSettings
from satsynth.generation.settings import SamplingSettings
from satsynth.pairs.layouts import DrawnLayouts, Layouts, WindowLayouts, accepted
from satsynth.pairs.masks import (
    RESULT_VERSION,
    MaskStore,
    drawn_masks_step,
    find_drawn_masks,
    with_own_ignored,
    write_drawn_masks,
    write_scene_masks,
)
from satsynth.pairs.store import PairStore
from satsynth.scenes.finding import raw_folder, require_unchanged
from satsynth.scenes.scene import SceneReader, scenes_from_frame
from satsynth.work.errors import AncestryError
from satsynth.work.files import DigestCache
from satsynth.work.folder import Step, WorkFolder
from satsynth.work.remembered import frame_digest, remembered
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GivenLayouts:
    """Layouts, and the store of masks that they come from.

    Args:
        layouts: The layouts.
        store: The store, whose digest decides a set of pairs.
    """

    layouts: Layouts
    store: MaskStore


def layouts_of(
    sampling: SamplingSettings,
    tiles: PairStore,
    scenes: pd.DataFrame,
    description: DatasetDescription,
    workspace: Workspace,
) -> GivenLayouts | None:
    """Return the layouts that a set of pairs asks for, or None where the generator draws the masks.

    Args:
        sampling: The set.
        tiles: Real pairs.
        scenes: The table of scenes that they were cut from.
        description: The data set.
        workspace: Folders of raw data and work.

    Raises:
        SatSynthError: The scenes are others than those of the tiles, or masks are missing or cannot be read.
    """
    if sampling.layouts == "folder":
        store = drawn_masks(sampling.layout_folder, description, tiles.tile_size, workspace)
        drawn = DrawnLayouts(store.path, tiles.tile_size)
        log.info("Layouts: %d mask(s) of %s, in %d tiles", len(store.entries), sampling.layout_folder, drawn.distinct)
        return GivenLayouts(drawn, store)
    if sampling.layouts == "real":
        keep = KeepSettings(**tiles.manifest["keep"])
        # Wrong names are refused before masks are read.
        accepted(sampling.windows, keep, tiles.class_names)
        store = scene_masks(tiles, scenes, description, workspace)
        log.info("Layouts: windows of %d training scenes", len(store.entries))
        return GivenLayouts(WindowLayouts(store.path, tiles.tile_size, sampling.windows, keep), store)
    return None


def scene_masks(
    tiles: PairStore, scenes: pd.DataFrame, description: DatasetDescription, workspace: Workspace
) -> MaskStore:
    """Return the masks of the training scenes that are labelled, read once.

    Raises:
        AncestryError: The tiles were cut from other scenes.
        DataError: Files have changed since ingestion.
    """
    if tiles.parents.get("scenes") != frame_digest(scenes):
        raise AncestryError(
            f"`tiles` ({tiles.path}) were cut from other `scenes` than the current ones.",
            "Make them again: kedro run --pipeline=tiling",
        )
    settings: dict[str, Any] = {"description": description.reading()}
    unused = set(tiles.unused_labels)
    if unused:
        settings["unused_labels"] = sorted(unused)
    step = Step("scene_masks", RESULT_VERSION, {"scenes": frame_digest(scenes)}, settings)

    def write(folder: WorkFolder) -> None:
        train = [scene for scene in scenes_from_frame(scenes) if scene.split == "train"]
        found = [scene for scene in train if scene.scene_id not in unused]
        raw = raw_folder(description, workspace.raw, workspace.folder)
        cache = DigestCache(workspace.work / "digests.json", forget=workspace.fresh)
        require_unchanged(found, raw, cache.digest)
        write_scene_masks(folder, found, SceneReader(description, raw))

    return MaskStore(remembered(workspace, step, write).result)


def drawn_masks(path: str, description: DatasetDescription, side: int, workspace: Workspace) -> MaskStore:
    """Return the masks of a folder, read once.

    Args:
        path: The folder, absolute or relative to the project.
        description: The data set, whose ids or colours they have.
        side: Side of a tile in pixels, the smallest size of a mask.
        workspace: Where work is kept.

    Raises:
        DataError: There are none, or one cannot be read.
    """
    files = find_drawn_masks(path, workspace.folder)
    description = with_own_ignored(description, workspace.folder / Path(path).expanduser())
    step = drawn_masks_step(files, description, side)
    done = remembered(workspace, step, lambda folder: write_drawn_masks(folder, files, description, side))
    return MaskStore(done.result)
