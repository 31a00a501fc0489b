"""Node of `ingestion`: find and check raw data."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from satsynth.datasets.description import DatasetDescription
from satsynth.datasets.labels import reversed_twins
from satsynth.rasters.palettes import differing_palettes
from satsynth.scenes.checking import inspect
from satsynth.scenes.finding import RESULT_VERSION, check_splits, raw_folder, scenes_outside, search_scenes
from satsynth.scenes.hidden import Hidden
from satsynth.scenes.problems import BadFile, BadFilesError, as_frame, as_text, refuse
from satsynth.scenes.scene import Scene, SceneReader, scenes_to_frame
from satsynth.scenes.settings import IngestionSettings
from satsynth.scenes.splits import ALL_SPLITS, labelled, neighbours_across_splits
from satsynth.training.settings import ComputeSettings
from satsynth.work.errors import listing
from satsynth.work.files import DigestCache, atomic
from satsynth.work.folder import Step
from satsynth.work.remembered import remembered_table
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)


def find_and_check(
    description: DatasetDescription, ingestion: IngestionSettings, compute: ComputeSettings, workspace: Workspace
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find all scenes of the data set, match images with masks and check every file.

    Args:
        description: The data set.
        ingestion: What happens to bad files.
        compute: Number of workers.
        workspace: Folders of raw data and work.

    Returns:
        The table `scenes`, one row per scene, and the table `bad_files`, one row per file that was left out.
    """
    raw = raw_folder(description, workspace.raw, workspace.folder)
    skip = ingestion.on_bad_scene == "skip"
    cache = DigestCache(workspace.work / "digests.json", forget=workspace.fresh)
    scenes, bad = search_scenes(description, raw, cache.digest, ingestion.held_out_images == "use")
    cache.save()
    if not bad:
        # Check this first, because reading the pixels takes long.
        check_splits(scenes, description)

    def check() -> tuple[pd.DataFrame, dict[str, object]]:
        found, hidden = inspect(scenes, SceneReader(description, raw, compute.threads), compute.threads)
        if not skip:
            _refuse([*bad, *found], description, workspace)
        return as_frame(found), hidden.as_figures()

    # Only findings about pixels are remembered. Splits, lists and georeferences may change without affecting them.
    irrelevant = {"splits", "tiling", "title", "licence", "obtain", "download", "raw"}
    settings = description.model_dump(mode="json", exclude=irrelevant)
    # Images without masks count as scenes do, wherever their folders are.
    del settings["images"]["unlabelled"]
    parents = {scene.scene_id: scene.digest for scene in scenes}
    step = Step("ingestion", RESULT_VERSION, parents, {**settings, "on_bad_scene": ingestion.on_bad_scene})
    seen, figures = remembered_table(workspace, step, check)
    found = [BadFile(*row) for row in seen.itertuples(index=False, name=None)]
    bad += found
    if not skip:
        _refuse(bad, description, workspace)
    out = {file.scene for file in found}
    kept = [scene for scene in scenes if scene.scene_id not in out]
    check_splits(kept, description)
    if bad:
        log.warning("%d bad file(s) of '%s' are left out:\n%s", len(bad), description.name, as_text(bad))
    table = scenes_to_frame(kept)
    counts = table["split"].value_counts()
    log.info("Scenes of '%s': %s", description.name, ", ".join(f"{counts[s]} {s}" for s in ALL_SPLITS if s in counts))
    divided = int((table.groupby("group")["split"].nunique() > 1).sum())
    if divided:
        log.info(
            "%d group(s) have scenes in several splits, according to `splits`; such scenes may be neighbours.", divided
        )
    for much, message in Hidden.from_figures(figures).messages():
        log.log(logging.WARNING if much else logging.INFO, "%s", message)
    _warn(labelled(kept), description, raw)
    return table, as_frame(bad)


def _warn(scenes: Sequence[Scene], description: DatasetDescription, raw: Path) -> None:
    """Log warnings about what no check of labelled scenes can decide."""
    same_ground = neighbours_across_splits(scenes)
    if same_ground:
        log.warning(
            "%d pair(s) of scenes in different splits show the same ground, which inflates all scores:\n%s\n"
            "Put them into the same split: let `layout.group` name what they have in common.",
            len(same_ground),
            listing(same_ground, 5),
        )
    empty = scenes_outside(scenes, description, raw)
    if empty:
        log.warning(
            "%d scene(s) lie outside of all polygons of their file, such as %s, and show only `masks.outside`. Check "
            "the coordinate reference systems of these images if that is wrong.",
            len(empty),
            empty[0].scene,
        )
    twins = reversed_twins(description)
    if twins:
        log.warning(
            "Masks in the order B, G, R cannot be detected, since these classes have each other's colours in reverse: "
            "%s. Check the masks in `pair_gallery`, or the shares in `class_distribution`.",
            "; ".join(" and ".join(pair) for pair in twins),
        )
    if description.masks.encoding != "index" or description.masks.reader != "raster":
        return
    differing = differing_palettes(raw, sorted({scene.mask for scene in scenes}))
    if differing:
        log.warning(
            "The palettes of %s and %s show the id %d in two colours. If the colours are the labels, as in files that "
            "a program has compressed, set `masks: {encoding: color}` and use colours as `raw`.",
            *differing,
        )


def _refuse(bad: list[BadFile], description: DatasetDescription, workspace: Workspace) -> None:
    """Raise if there are bad files. All of them are written to a table, since the message shows only the first ones."""
    try:
        refuse(bad, description.name)
    except BadFilesError as error:
        table = workspace.work / f"bad_files_{description.name}.csv"
        with atomic(table) as temporary:
            as_frame(bad).to_csv(temporary, index=False)
        raise BadFilesError(error.problem, f"{error.remedy} All of them are in {table}.") from error
