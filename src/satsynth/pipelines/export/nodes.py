"""Nodes of `export`: write pairs for other tools."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pandas as pd

from satsynth.datasets.description import DatasetDescription
from satsynth.pairs.settings import ExportSettings
from satsynth.pairs.store import PairStore
from satsynth.work.ancestry import digests
from satsynth.work.errors import AncestryError
from satsynth.work.finished import Finished
from satsynth.work.folder import Step
from satsynth.work.remembered import frame_digest, remembered
from satsynth.work.workspace import Workspace

log = logging.getLogger(__name__)


def export_tiles(
    tiles: PairStore,
    scenes: pd.DataFrame,
    description: DatasetDescription,
    export: ExportSettings,
    workspace: Workspace,
) -> Finished:
    """Write the real pairs.

    Args:
        tiles: The real pairs.
        scenes: The scenes that they were cut from, with georeferences.
        description: The data set, whose ids or colours the masks get.
        export: Form of the export, and splits.
        workspace: Folder of work.

    Returns:
        The folder `tiles_export`.

    Raises:
        AncestryError: The pairs were cut from other scenes, or their classes differ from those of the description.
    """
    if tiles.parents.get("scenes") != frame_digest(scenes):
        raise AncestryError(
            f"`tiles` ({tiles.path}) were cut from other `scenes` than the current ones.",
            "Make them again: kedro run --pipeline=tiling",
        )
    return _exported("tiles", tiles, export.splits, description, export, workspace, scenes)


def export_synthetic(
    synthetic_pairs: PairStore, description: DatasetDescription, export: ExportSettings, workspace: Workspace
) -> Finished:
    """Write the synthetic pairs.

    Args:
        synthetic_pairs: The synthetic pairs.
        description: The data set, whose ids or colours the masks get.
        export: Form of the export.
        workspace: Folder of work.

    Returns:
        The folder `synthetic_export`.

    Raises:
        AncestryError: The classes of the pairs differ from those of the description.
    """
    return _exported("synthetic_pairs", synthetic_pairs, ["synthetic"], description, export, workspace)


def _exported(
    name: str,
    store: PairStore,
    splits: Sequence[str],
    description: DatasetDescription,
    export: ExportSettings,
    workspace: Workspace,
    scenes: pd.DataFrame | None = None,
) -> Finished:
    from satsynth.datasets.painting import Painter
    from satsynth.pairs.export import RESULT_VERSION, export_pairs
    from satsynth.scenes.scene import scenes_from_frame

    if store.class_names != list(description.class_names):
        raise AncestryError(
            f"`{name}` ({store.path}) has the classes {store.class_names}, but the data set '{description.name}' now "
            f"has {list(description.class_names)}.",
            "Make it again: kedro run --pipeline=augment",
        )
    painter = Painter(description)
    settings = {**export.model_dump(mode="json"), "splits": list(splits), "legend": painter.legend()}
    step = Step("export", RESULT_VERSION, digests(**{name: store}), settings)
    places = {} if scenes is None else {scene.scene_id: scene for scene in scenes_from_frame(scenes)}
    folder = remembered(workspace, step, lambda work: export_pairs(work, store, splits, painter, export, places))
    finished = Finished(folder.result)
    log.info("Exported %s", ", ".join(f"{count} {split}" for split, count in finished.manifest["counts"].items()))
    return finished
