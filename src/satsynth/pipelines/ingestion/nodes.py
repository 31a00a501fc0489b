"""Finding and checking raw data."""

from __future__ import annotations

import logging

import pandas as pd

from satsynth.pipelines.steps import RunSettings, remembered_table
from satsynth.scenes.description import DatasetDescription
from satsynth.scenes.finding import RESULT_VERSION, check_scenes, find_scenes, raw_folder
from satsynth.scenes.scene import SceneReader, scenes_to_frame
from satsynth.training.settings import ComputeSettings
from satsynth.work.files import DigestCache
from satsynth.work.folder import Step

log = logging.getLogger(__name__)


def find_and_check(description: DatasetDescription, compute: ComputeSettings, run: RunSettings) -> pd.DataFrame:
    """Find all scenes of the data set, match images with masks and check every file.

    Args:
        description: The data set.
        compute: Number of workers.
        run: Where raw data and work are.

    Returns:
        The table `scenes`, a row a scene.
    """
    raw = raw_folder(description, run.raw, run.folder)
    cache = DigestCache(run.work / "digests.json")
    scenes = find_scenes(description, raw, cache.digest)
    cache.save()

    def check() -> tuple[pd.DataFrame, dict[str, int]]:
        check_scenes(scenes, SceneReader(description, raw), compute.workers)
        return scenes_to_frame(scenes), {"scenes": len(scenes)}

    parents = {scene.scene_id: scene.digest for scene in scenes}
    step = Step(
        "ingestion",
        RESULT_VERSION,
        parents,
        # What is not given must not count: a field added later leaves finished work as it is.
        description.model_dump(
            mode="json", exclude={"tiling", "title", "licence", "obtain", "download", "raw"}, exclude_none=True
        ),
    )
    table, _ = remembered_table(run, step, check)
    counts = table["split"].value_counts()
    log.info("Scenes of '%s': %s", description.name, ", ".join(f"{counts[s]} {s}" for s in ("train", "val", "test")))
    return table
