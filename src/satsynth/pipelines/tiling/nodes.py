"""Node of `tiling`: cut scenes into tiles."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from satsynth.datasets.description import DatasetDescription
from satsynth.pairs import repeats
from satsynth.pairs.labels import LABELS
from satsynth.pairs.required import missing_classes, require_labels
from satsynth.pairs.settings import TilingSettings
from satsynth.pairs.store import PairStore
from satsynth.pairs.tiling import ON_A_GRID, RESULT_VERSION, check_keep, cut_scenes
from satsynth.scenes.finding import raw_folder, require_unchanged
from satsynth.scenes.scene import SceneReader, scenes_from_frame
from satsynth.scenes.splits import ALL_SPLITS, UNLABELLED
from satsynth.training.settings import ComputeSettings
from satsynth.work.ancestry import digests
from satsynth.work.files import DigestCache
from satsynth.work.folder import ASSEMBLY, Step, WorkFolder
from satsynth.work.remembered import frame_digest, remembered, remembered_table
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)


def cut_tiles(
    scenes: pd.DataFrame,
    description: DatasetDescription,
    tiling: TilingSettings,
    compute: ComputeSettings,
    workspace: Workspace,
) -> PairStore:
    """Cut all scenes into image-mask pairs.

    Args:
        scenes: The table of scenes.
        description: The data set.
        tiling: How to cut.
        compute: Number of workers.
        workspace: Folders of raw data and work.

    Returns:
        The store `tiles`.
    """
    check_keep(tiling, description.class_names)
    raw = raw_folder(description, workspace.raw, workspace.folder)
    settings = {"tiling": tiling.identity(), "description": description.reading()}
    step = Step("tiling", RESULT_VERSION, {"scenes": frame_digest(scenes)}, settings)

    def cut(work: WorkFolder) -> None:
        found = list(scenes_from_frame(scenes))
        log.info(
            "Tiling: %d scenes into tiles of %d x %d, every %d pixels in training, by %d threads",
            len(found),
            tiling.tile_size,
            tiling.tile_size,
            tiling.stride,
            compute.threads,
        )
        cache = DigestCache(workspace.work / "digests.json", forget=workspace.fresh)
        require_unchanged(found, raw, cache.digest)
        reader = SceneReader(description, raw, compute.threads)
        cut_scenes(work, found, reader, tiling, compute.threads, compute.placement, cache.digest)

    tiles = PairStore(remembered(workspace, step, cut, compute.part).result)
    require_labels(tiles)
    log.info(
        "Tiles of %d x %d: %s",
        tiles.tile_size,
        tiles.tile_size,
        ", ".join(f"{tiles.count(s)} {s}" for s in ALL_SPLITS if tiles.count(s)),
    )
    _announce_labels(tiles)
    _announce_repeats(tiles, workspace)
    scenes = scenes[~scenes["scene_id"].isin(tiles.unused_labels)]
    for split, kind in ON_A_GRID.items():
        small = scenes[(scenes["split"] == split) & (scenes[["height", "width"]].min(axis=1) < tiles.tile_size)]
        if len(small):
            log.warning(
                "%d %s scene(s) are smaller than a tile and are not used, such as %s (%d x %d pixels). Use a smaller "
                "`tiling.tile_size` to include them.",
                len(small),
                kind,
                *small.iloc[0][["scene_id", "width", "height"]],
            )
    for lacking in missing_classes(tiles):
        log.warning(
            "There are no pixels of %s. Such a class cannot be learned or scored; check `splits`, `tiling.keep`%s.",
            lacking,
            " and which scenes are labelled" if tiling.some_labels else "",
        )
    return tiles


def _announce_repeats(tiles: PairStore, workspace: Workspace) -> None:
    """Warn of scenes of different splits that show the same."""

    def find() -> tuple[pd.DataFrame, dict[str, Any]]:
        log.info("Tiles: comparing those of val and test with all others, for images that were saved anew")
        return repeats.repeated_scenes(tiles), {}

    step = Step("repeated_scenes", repeats.RESULT_VERSION, digests(tiles=tiles), {})
    # Of several processes that share the tiling, more than one may come here at once.
    if same := repeats.in_words(remembered_table(workspace, step, find, ASSEMBLY)[0]):
        log.warning(same)


def _announce_labels(tiles: PairStore) -> None:
    """Log which training scenes are labelled, where not all of them are to be."""
    if labels := tiles.manifest.get(LABELS):
        used, rest = labels["used"], labels["rest"]
        log.info(
            "Labels: the masks of %d of %d training scenes are used (%s%s); the others %s",
            len(used),
            len(used) + len(labels["unused"]),
            ", ".join(used[:10]),
            " and others" if len(used) > 10 else "",
            f"are images without masks, {tiles.count(UNLABELLED)} tiles" if rest == UNLABELLED else "are left out",
        )
