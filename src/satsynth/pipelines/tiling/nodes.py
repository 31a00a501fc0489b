"""Cutting scenes into tiles."""

from __future__ import annotations

import logging

import pandas as pd

from satsynth.pairs.settings import TilingSettings
from satsynth.pairs.store import PairStore
from satsynth.pairs.tiling import RESULT_VERSION, check_keep, cut_scenes, missing_classes
from satsynth.pipelines.steps import RunSettings, frame_digest, remembered
from satsynth.scenes.description import DatasetDescription
from satsynth.scenes.finding import raw_folder
from satsynth.scenes.scene import SceneReader, scenes_from_frame
from satsynth.training.settings import ComputeSettings
from satsynth.work.folder import Step

log = logging.getLogger(__name__)


def cut_tiles(
    scenes: pd.DataFrame,
    description: DatasetDescription,
    tiling: TilingSettings,
    compute: ComputeSettings,
    run: RunSettings,
) -> PairStore:
    """Cut all scenes into image-mask pairs.

    Args:
        scenes: The table of scenes.
        description: The data set.
        tiling: How to cut.
        compute: Number of workers.
        run: Where raw data and work are.

    Returns:
        The store `tiles`.
    """
    check_keep(tiling, description.class_names)
    reader = SceneReader(description, raw_folder(description, run.raw, run.folder), compute.threads)
    used = {"name", "classes", "ignore", "images", "masks", "scale"}
    settings = {
        "tiling": tiling.model_dump(mode="json"),
        "description": description.model_dump(mode="json", include=used),
    }
    step = Step("tiling", RESULT_VERSION, {"scenes": frame_digest(scenes)}, settings)
    folder = remembered(
        run, step, lambda work: cut_scenes(work, list(scenes_from_frame(scenes)), reader, tiling, compute.threads)
    )
    tiles = PairStore(folder.result)
    log.info(
        "Tiles of %d x %d: %s",
        tiles.tile_size,
        tiles.tile_size,
        ", ".join(f"{tiles.count(s)} {s}" for s in ("train", "val", "test")),
    )
    small = scenes[(scenes["split"] == "train") & (scenes[["height", "width"]].min(axis=1) < tiles.tile_size)]
    if len(small):
        log.warning(
            "%d training scene(s) are smaller than a tile and give none, as %s (%d x %d pixels): a smaller "
            "`tiling.tile_size` would use them.",
            len(small),
            *small.iloc[0][["scene_id", "width", "height"]],
        )
    for lacking in missing_classes(tiles):
        log.warning(
            "No pixel of %s: such a class cannot be learned or scored. Look at `splits` and `tiling.keep`.", lacking
        )
    return tiles
